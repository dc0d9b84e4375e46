//! Schema "upwrite" from setup to setup: what has changed is brought up to date and said, nothing else is touched.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use upwrite::setup::{LogBinding, SetupError, SetupPlan, SetupReport, setup};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema::{RECONCILER_PASSWORD, SERVICE_PASSWORD};
use upwrite_testkit::until;

use crate::database::{Session, contact};

/// A database of the shared cluster, and the superuser's session in it.
struct Target {
    url: String,
    root: Session,
}

impl Target {
    async fn new() -> Self {
        let cluster = Cluster::shared().await;
        let url = cluster.superuser_url(&cluster.create_database().await);
        Self { root: Session::connect(&url).await, url }
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the superuser logs in")
    }

    async fn setup(&self) -> Result<SetupReport, SetupError> {
        setup(&mut self.connect().await, &plan()).await
    }

    /// What another setup changes.
    async fn again(&self) -> Vec<String> {
        self.setup().await.expect("setup again").done
    }

    async fn schema_is_there(&self) -> bool {
        self.root.one("SELECT to_regnamespace('upwrite') IS NOT NULL").await == "t"
    }
}

fn plan() -> SetupPlan {
    SetupPlan {
        service_password: SERVICE_PASSWORD.to_owned(),
        reconciler_password: RECONCILER_PASSWORD.to_owned(),
        partitions: 2,
        log: LogBinding::default(),
        tables: vec![serde_json::from_value(contact()).expect("a table")],
        grants: Vec::new(),
    }
}

#[tokio::test]
async fn a_function_whose_text_changed_is_replaced_and_said() {
    let target = Target::new().await;
    target.setup().await.expect("setup");
    let root = &target.root;
    root.ok("CREATE OR REPLACE FUNCTION upwrite.mark() RETURNS text LANGUAGE sql STABLE
                 SET search_path = pg_catalog, pg_temp AS $$ SELECT 'of an earlier build' $$;
             UPDATE upwrite.migrations SET sha256 = 'its checksum' WHERE file = 'functions/mark'")
        .await;
    assert_eq!(target.again().await, ["ran functions/mark"]);
    assert!(root.one("SELECT upwrite.mark()").await.contains("locks"));
    assert_eq!(target.again().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_no_file_makes_any_more_is_dropped_and_what_is_not_ours_stays() {
    let target = Target::new().await;
    target.setup().await.expect("setup");
    let root = &target.root;
    // An earlier build had a function more, and gave `await` its time limit as a number.
    root.ok("CREATE FUNCTION upwrite.changes(text, uuid[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION upwrite.await(uuid, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION upwrite.await(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION upwrite.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
             INSERT INTO upwrite.migrations (file, sha256, functions)
                 VALUES ('functions/changes', 'x', '{\"upwrite.changes(text,uuid[])\"}');
             UPDATE upwrite.migrations SET sha256 = 'x', functions = '{\"upwrite.await(uuid,integer)\"}'
                 WHERE file = 'functions/await'")
        .await;
    assert_eq!(
        target.again().await,
        [
            "ran functions/await",
            "dropped function upwrite.await(uuid,integer)",
            "dropped function upwrite.changes(text,uuid[])"
        ]
    );
    let left =
        "SELECT string_agg(oid::regprocedure::text, ' ' ORDER BY oid::regprocedure::text COLLATE \"C\") FROM pg_proc
                WHERE pronamespace = 'upwrite'::regnamespace AND proname IN ('await', 'changes', 'mine')";
    assert_eq!(root.one(left).await, "upwrite.await(text) upwrite.await(uuid,interval) upwrite.mine()");
    assert_eq!(target.again().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_right_that_is_not_in_the_list_is_taken_away() {
    let target = Target::new().await;
    target.setup().await.expect("setup");
    let right = "SELECT has_table_privilege('upwrite_service', 'upwrite.records', 'delete')";
    target
        .root
        .ok("GRANT DELETE ON upwrite.records TO upwrite_service;
             UPDATE upwrite.migrations SET sha256 = 'x' WHERE file LIKE 'rights/%'")
        .await;
    assert_eq!(target.root.one(right).await, "t");
    assert_eq!(target.again().await, ["ran rights/grants", "ran rights/policies"]);
    assert_eq!(target.root.one(right).await, "f");
    let policies = "SELECT string_agg(polname, ' ' ORDER BY polname) FROM pg_policy";
    assert_eq!(target.root.one(policies).await, "monitor own service");
}

#[tokio::test]
async fn everything_belongs_to_the_owner_but_the_function_that_reads_verifiers() {
    let target = Target::new().await;
    target.setup().await.expect("setup");
    let others = "SELECT string_agg(x, ' ') FROM (
            SELECT oid::regprocedure::text FROM pg_proc
             WHERE pronamespace = 'upwrite'::regnamespace AND proowner <> 'upwrite_owner'::regrole
            UNION ALL
            SELECT oid::regclass::text FROM pg_class
             WHERE relnamespace = 'upwrite'::regnamespace AND relowner <> 'upwrite_owner'::regrole) AS o (x)";
    assert_eq!(target.root.one(others).await, "upwrite.auth(text)");
    // Each file of functions knows the one that it made.
    let made = "SELECT count(*) FILTER (WHERE cardinality(functions) <> 1) FROM upwrite.migrations
                WHERE file LIKE 'functions/%'";
    assert_eq!(target.root.one(made).await, "0");
}

#[tokio::test]
async fn a_database_of_the_first_migrations_is_refused_and_left_alone() {
    // For the roles, which are the cluster's.
    Target::new().await.setup().await.expect("setup of another database");
    let target = Target::new().await;
    let root = &target.root;
    root.ok("CREATE SCHEMA upwrite AUTHORIZATION upwrite_owner;
             CREATE TABLE upwrite.migrations (file text PRIMARY KEY, sha256 text NOT NULL,
                                              applied_at timestamptz NOT NULL DEFAULT now());
             INSERT INTO upwrite.migrations (file, sha256) VALUES ('0001_schema', 'x'), ('0002_log', 'y')")
        .await;
    let refusal = target.setup().await.expect_err("an old schema");
    assert!(matches!(&refusal, SetupError::SchemaTooOld(file) if file == "0001_schema"), "{refusal}");
    assert!(refusal.to_string().contains("make a new database"), "{refusal}");
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'upwrite'::regnamespace AND relkind = 'r'";
    assert_eq!(root.one(tables).await, "1");
    assert_eq!(root.one("SELECT count(*) FROM upwrite.migrations").await, "2");
}

/// Stops a setup where it waits for `lock`, a statement that another session runs in a transaction, and kills it.
async fn killed_while_it_waits_for(target: &Target, lock: &str) {
    let blocker = Session::connect(&target.url).await;
    blocker.ok(&format!("BEGIN; {lock}")).await;
    let blocking = blocker.one("SELECT pg_backend_pid()").await;
    let mut connection = target.connect().await;
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.expect("a backend has a pid");
    let running = tokio::spawn(async move { setup(&mut connection, &plan()).await });
    let waits = format!("SELECT {blocking} = ANY (pg_blocking_pids({pid}))");
    until(Duration::from_secs(60), "setup waits", || async { (target.root.one(&waits).await == "t").then_some(()) })
        .await;
    target.root.ok(&format!("SELECT pg_terminate_backend({pid})")).await;
    let ended = running.await.expect("no panic");
    assert!(matches!(ended, Err(SetupError::Database { .. } | SetupError::Table { .. })), "{ended:?}");
    blocker.ok("ROLLBACK").await;
}

#[tokio::test]
async fn a_setup_that_was_killed_is_simply_run_again() {
    let target = Target::new().await;
    // All tables are made, the first function is not: the schema is there as a whole or not at all.
    killed_while_it_waits_for(&target, "LOCK TABLE pg_proc IN SHARE ROW EXCLUSIVE MODE").await;
    assert!(!target.schema_is_there().await);
    // The schema is made, the synced table is not.
    let table = "SELECT pg_advisory_xact_lock(hashtextextended('upwrite.define_table salesforce.contact', 0))";
    killed_while_it_waits_for(&target, table).await;
    assert!(target.schema_is_there().await);
    assert_eq!(target.root.one("SELECT count(*) FROM upwrite.tables").await, "0");

    let report = target.setup().await.expect("setup at last");
    assert!(report.done.iter().any(|line| line == "created table salesforce.contact"), "{report:#?}");
    assert!(report.unchanged.iter().any(|line| line == "schema upwrite"), "{report:#?}");
    assert_eq!(target.again().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_setups_at_once_one_makes_everything() {
    let target = Target::new().await;
    let (one, other) = tokio::join!(target.setup(), target.setup());
    let mut done = [one.expect("one setup").done, other.expect("the other one").done];
    done.sort_by_key(Vec::len);
    assert_eq!(done[0], Vec::<String>::new());
    assert!(done[1].iter().any(|line| line == "made schema upwrite"), "{done:#?}");
}
