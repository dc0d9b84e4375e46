//! `upwrite setup` makes everything, and says so; again, it changes nothing.

use sqlx::{Connection as _, PgConnection};
use upwrite::setup::{Grant, SetupError, SetupPlan, setup};
use upwrite_events::{TableName, TableSpec};
use upwrite_testkit::postgres::{Cluster, Options};

use crate::database::{Session, column, contact};

fn plan(role: &str) -> SetupPlan {
    let spec: TableSpec = serde_json::from_value(contact()).expect("a table");
    SetupPlan {
        service_password: "service".to_owned(),
        reconciler_password: "reconciler".to_owned(),
        partitions: 3,
        log: upwrite::setup::LogBinding::default(),
        tables: vec![spec],
        grants: vec![Grant {
            role: role.to_owned(),
            table: TableName::new("salesforce", "contact"),
            privileges: vec!["select".to_owned(), "insert".to_owned()],
        }],
    }
}

/// An empty database, and a role that exists.
async fn empty(cluster: &Cluster) -> (String, PgConnection) {
    let name = cluster.create_database().await;
    let url = cluster.superuser_url(&name);
    let connection = PgConnection::connect(&url).await.expect("the superuser logs in");
    (name, connection)
}

#[tokio::test]
async fn makes_everything_once_and_again_changes_nothing() {
    let cluster = Cluster::start(Options::default()).await;
    let (name, mut connection) = empty(&cluster).await;
    let root = Session::connect(&cluster.superuser_url(&name)).await;
    root.ok("CREATE ROLE app LOGIN PASSWORD 'app'").await;
    let mut plan = plan("app");
    // What children are looked up by.
    let mut parent: upwrite_events::ColumnSpec =
        serde_json::from_value(column("account_id", "text", false)).expect("a column");
    parent.references = Some("account".to_owned());
    plan.tables[0].columns.push(parent);
    let report = setup(&mut connection, &plan).await.expect("setup");
    for expected in [
        "created role upwrite_owner",
        "set the password of upwrite_service",
        "made schema upwrite",
        "opened the log in this database, 3 partitions a stream",
        "created table salesforce.contact",
        "indexed salesforce.contact.account_id",
        "put trigger upwrite_capture on salesforce.contact",
        "granted select, insert on salesforce.contact to app",
    ] {
        assert!(report.done.iter().any(|line| line == expected), "{expected}: {report:#?}");
    }
    assert_eq!(root.one("SELECT count(*) FROM upwrite.log_partitions").await, "6");
    let label = "SELECT col_description('salesforce.contact'::regclass, 1)";
    assert_eq!(root.one(label).await, "Label of id");

    let again = setup(&mut connection, &plan).await.expect("setup again");
    assert_eq!(again.done, Vec::<String>::new());
    assert!(again.unchanged.iter().any(|line| line == "table salesforce.contact"), "{again:#?}");

    let service = Session::connect(&cluster.url(&name, "upwrite_service", "service")).await;
    assert_eq!(service.one("SELECT partitions FROM upwrite.deployment").await, "3");
    let reconciler = Session::connect(&cluster.url(&name, "upwrite_reconciler", "reconciler")).await;
    assert_eq!(reconciler.one("SHOW session_replication_role").await, "replica");
    let app = Session::connect(&cluster.url(&name, "app", "app")).await;
    assert_eq!(app.one("SELECT count(*) FROM salesforce.contact").await, "0");
    assert_eq!(app.refused("DELETE FROM salesforce.contact").await.code, "42501");
}

#[tokio::test]
async fn widens_a_table_and_changes_a_password_without_losing_rows() {
    let cluster = Cluster::start(Options::default()).await;
    let (name, mut connection) = empty(&cluster).await;
    let root = Session::connect(&cluster.superuser_url(&name)).await;
    root.ok("CREATE ROLE app LOGIN").await;
    let mut plan = plan("app");
    setup(&mut connection, &plan).await.expect("setup");
    let reconciler = Session::connect(&cluster.url(&name, "upwrite_reconciler", "reconciler")).await;
    reconciler.ok("INSERT INTO salesforce.contact (id, n) VALUES ('003A', 5)").await;
    root.ok("UPDATE upwrite.tables SET backfilled_at = now()").await;

    let spec = &mut plan.tables[0];
    spec.columns.push(serde_json::from_value(column("phone", "text", false)).expect("a column"));
    spec.columns.iter_mut().find(|column| column.name == "last_name").expect("there").sql_type =
        "varchar(120)".to_owned();
    plan.service_password = "changed".to_owned();
    let report = setup(&mut connection, &plan).await.expect("setup again");
    assert_eq!(
        report.done,
        [
            "set the password of upwrite_service",
            "changed salesforce.contact.last_name from character varying(80) to varchar(120)",
            "added column phone to salesforce.contact",
        ]
    );
    assert_eq!(root.one("SELECT c::text FROM salesforce.contact c").await, "(003A,,,5,,0,,)");
    // The rows that are there lack the new column's values: they are read again.
    assert_eq!(root.one("SELECT backfilled_at IS NULL FROM upwrite.tables").await, "t");
    let service = Session::connect(&cluster.url(&name, "upwrite_service", "changed")).await;
    assert_eq!(service.one("SELECT spec -> 'columns' -> 5 ->> 'name' FROM upwrite.tables").await, "phone");
}

#[tokio::test]
async fn says_what_stops_it() {
    let cluster = Cluster::start(Options::default()).await;
    let (name, mut connection) = empty(&cluster).await;
    let root = Session::connect(&cluster.superuser_url(&name)).await;
    let refusal = setup(&mut connection, &plan("nobody")).await.expect_err("no such role");
    assert!(matches!(refusal, SetupError::Grant { .. }), "{refusal}");
    assert!(refusal.to_string().contains("nobody"), "{refusal}");

    root.ok("CREATE ROLE app LOGIN PASSWORD 'app'").await;
    let mut other = plan("app");
    other.partitions = 4;
    let refusal = setup(&mut connection, &other).await.expect_err("another number of partitions");
    assert!(matches!(refusal, SetupError::Partitions { present: 3, wanted: 4 }), "{refusal}");

    root.ok("UPDATE upwrite.migrations SET sha256 = 'x' WHERE file = 'tables/0003_log'").await;
    let refusal = setup(&mut connection, &plan("app")).await.expect_err("a changed migration");
    assert!(matches!(refusal, SetupError::MigrationChanged { .. }), "{refusal}");

    root.ok("UPDATE upwrite.migrations SET file = 'tables/0099_newer' WHERE file = 'tables/0003_log'").await;
    let refusal = setup(&mut connection, &plan("app")).await.expect_err("a newer schema");
    assert!(matches!(refusal, SetupError::MigrationUnknown(_)), "{refusal}");

    let url = cluster.url(&name, "app", "app");
    let mut app = PgConnection::connect(&url).await.expect("app logs in");
    let refusal = setup(&mut app, &plan("app")).await.expect_err("not a superuser");
    assert!(matches!(refusal, SetupError::NotSuperuser(_)), "{refusal}");
}

/// Roles are the cluster's: setups of several databases run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_databases_of_one_cluster_are_set_up_at_once() {
    let cluster = Cluster::start(Options::default()).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (_, mut connection) = empty(&cluster).await;
        tasks.push(tokio::spawn(async move {
            let mut plan = plan("app");
            plan.grants.clear();
            setup(&mut connection, &plan).await
        }));
    }
    for task in tasks {
        task.await.expect("no panic").unwrap_or_else(|error| panic!("{error}"));
    }
}
