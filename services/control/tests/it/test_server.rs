//! A database of its own with one synced table, a log, and a control server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use upwrite_control::{Client, ClientConfig, Config, Operations, Server, Unsupported};
use upwrite_event_log::{Config as LogConfig, EventLog as _, PostgresLog, Submission, Submitted};
use upwrite_events::*;
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;
use uuid::Uuid;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct TestServer {
    /// As the superuser: plays the reconciler.
    pub(crate) admin: PgPool,
    pub(crate) pool: PgPool,
    pub(crate) log: Arc<PostgresLog>,
    pub(crate) address: String,
    pub(crate) stop: CancellationToken,
    pub(crate) owner: OwnerId,
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn config() -> Config {
    Config { listen: loopback(), token: None, tls: None, version: "0.1.0-test".into() }
}

fn spec() -> TableSpec {
    let columns = vec![ColumnSpec::new("id", "text").read_only(), ColumnSpec::new("name", "text")];
    TableSpec::new(TableName::new("crm", "contact"), "id", columns).with_object("Contact")
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(Arc::new(Unsupported)).await
    }

    pub(crate) async fn start_with(operations: Arc<dyn Operations>) -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        schema::install(&url, &[serde_json::to_string(&spec()).unwrap()], 2).await;
        let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
        let pool = PgPoolOptions::new().max_connections(5).connect(&service).await.unwrap();
        let stop = CancellationToken::new();
        let log = PostgresLog::open(pool.clone(), LogConfig::default(), stop.clone()).await.unwrap();
        let server = Server::bind(config()).await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        tokio::spawn(server.serve(pool.clone(), log.clone(), operations, stop.clone()));
        let admin = PgPoolOptions::new().max_connections(5).connect(&url).await.unwrap();
        Self { admin, pool, log, address, stop, owner: OwnerId(Uuid::now_v7()) }
    }

    pub(crate) async fn client(&self) -> Client {
        let config = ClientConfig { address: self.address.clone(), token: None, authority: None };
        Client::connect(config).await.unwrap()
    }

    /// A request in the log, and its row in upwrite.mutations.
    pub(crate) async fn request(&self, key: &str, user: &str) -> (MutationId, Partition, Position) {
        let mutation = MutationId(Uuid::now_v7());
        let change = RowChange {
            table: TableName::new("crm", "contact"),
            op: Op::Update,
            key: key.into(),
            version: Some(1),
            changed: [("name".to_owned(), Some("Ada".to_owned()))].into(),
            old: Row::new(),
        };
        let request = MutationRequested::new(mutation, vec![change.clone()])
            .at(1_700_000_000_000_000)
            .from_client("app", user, "test");
        let claim = spec().record_claim(key);
        let submission = Submission { claims: vec![claim], versions: vec![], request };
        let Submitted::Accepted { partition, position } = self.log.submit(submission).await.unwrap() else {
            panic!("not accepted");
        };
        let sql = format!(
            "insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
                 application_name, requested_at, accepted_at, partition, position, lifecycle)
             values ('{mutation}', 'requested', 'crm', 'contact', 'update', 1, 'app', '{user}', 'test', clock_timestamp(),
                 clock_timestamp(), {}, {position}, '{{}}')",
            partition.number
        );
        self.sql(&sql).await;
        (mutation, partition, position)
    }

    /// Its outcome in the log, and all of it folded.
    pub(crate) async fn apply(&self, mutation: MutationId, partition: Partition) {
        let applied = MutationApplied {
            mutation,
            owner: self.owner,
            attempt: 1,
            rows: vec![AppliedRow {
                row: 0,
                key: "k".into(),
                image: None,
                vendor_version: None,
                seen: Interval { begun_us: 1, ended_us: 2 },
            }],
            keep_claims: false,
        };
        self.append(partition, Event::MutationApplied(applied)).await;
        let sql = format!(
            "update upwrite.mutations set state = 'applied', applied_count = 1, attempts = 1, keys = '{{k}}',
                 answered_at = clock_timestamp(), finished_at = clock_timestamp(), settled_at = clock_timestamp(),
                 released = true where id = '{mutation}'"
        );
        self.sql(&sql).await;
        self.sql(&format!("delete from upwrite.claims where mutation = '{mutation}'")).await;
    }

    pub(crate) async fn append(&self, partition: Partition, event: Event) {
        self.log.append(partition, vec![event]).await.unwrap();
    }

    /// Everything in the log counts as folded.
    pub(crate) async fn fold_all(&self) {
        let sql = format!(
            "insert into upwrite.positions as p (stream, partition, next_position, owner)
             select stream, partition, next_position, '{}' from upwrite.log_partitions
             on conflict (stream, partition) do update set next_position = excluded.next_position",
            self.owner
        );
        self.sql(&sql).await;
    }

    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.admin).await.unwrap();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
