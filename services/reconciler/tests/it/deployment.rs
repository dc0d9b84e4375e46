//! A database of its own with one synced table, a log, and a reconciler that can be stopped and started.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Config as LogConfig, EventLog, PostgresLog, SoleMember, Submission, Submitted, partition_for};
use upwrite_events::*;
use upwrite_reconciler::{Config, ReconcilerError};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::{schema, until};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct TestDeployment {
    pub(crate) admin: PgPool,
    superuser: String,
    pub(crate) log: Arc<PostgresLog>,
    service: String,
    pub(crate) reconciler: PgConnectOptions,
    running: Option<(CancellationToken, JoinHandle<Result<(), ReconcilerError>>)>,
    pub(crate) owner: OwnerId,
}

pub(crate) fn table() -> TableName {
    TableName::new("crm", "contact")
}

fn spec() -> TableSpec {
    let columns = vec![
        ColumnSpec::new("id", "text").read_only(),
        ColumnSpec::new("name", "text"),
        ColumnSpec::new("n", "numeric(18,2)"),
        ColumnSpec::new("tags", "text[]"),
        ColumnSpec::new("stamp", "timestamptz"),
        ColumnSpec::new("upwrite_key", "text").unique(),
        ColumnSpec::new("flag", "boolean"),
    ];
    TableSpec::new(table(), "id", columns)
        .with_object("Contact")
        .with_idempotency_column("upwrite_key")
        .with_version_column("stamp")
}

impl TestDeployment {
    /// Two partitions, and a reconciler that has both.
    pub(crate) async fn start() -> Self {
        let mut deployment = Self::without_reconciler(2).await;
        deployment.run();
        deployment
    }

    pub(crate) async fn without_reconciler(partitions: u16) -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        schema::install(&url, &[serde_json::to_string(&spec()).unwrap()], partitions).await;
        let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
        let log = open_log(&service).await;
        let reconciler = cluster.url(&database, "upwrite_reconciler", schema::RECONCILER_PASSWORD).parse().unwrap();
        let deployment = Self {
            admin: PgPoolOptions::new().max_connections(5).connect(&url).await.unwrap(),
            superuser: url,
            log,
            service,
            reconciler,
            running: None,
            owner: OwnerId(uuid::Uuid::now_v7()),
        };
        for number in 0..partitions {
            let taken = PartitionTaken { owner: deployment.owner, process: "test".into(), lease_ms: 10_000 };
            let partition = Partition { stream: Stream::Mutations, number };
            deployment.log.append(partition, vec![Event::PartitionTaken(taken)]).await.unwrap();
        }
        deployment
    }

    /// The log as another process sees it: with nothing in memory.
    pub(crate) async fn another_log(&self) -> Arc<PostgresLog> {
        open_log(&self.service).await
    }

    /// Starts a reconciler that has everything.
    pub(crate) fn run(&mut self) {
        let stop = CancellationToken::new();
        let log: Arc<dyn EventLog> = self.log.clone();
        let task = tokio::spawn(upwrite_reconciler::run(
            Config { lock_timeout: Duration::from_millis(50), ..Config::default() },
            self.reconciler.clone(),
            log,
            Box::new(SoleMember::new(self.log.partitions())),
            self.log.notifier(),
            stop.clone(),
        ));
        self.running = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }

    pub(crate) async fn submit(&self, change: RowChange) -> (MutationId, Partition) {
        let mutation = MutationId(uuid::Uuid::now_v7());
        let request = request(mutation, change.clone());
        let claim = upwrite_event_log::Claim {
            table: change.table.clone(),
            key: upwrite_event_log::ClaimKey(format!("id={}", change.key)),
        };
        let submission = Submission { claims: vec![claim], versions: vec![], request };
        match self.log.submit(submission).await.unwrap() {
            Submitted::Accepted { partition, .. } => (mutation, partition),
            other => panic!("not accepted: {other:?}"),
        }
    }

    pub(crate) async fn outcome(&self, partition: Partition, event: Event) {
        self.log.append(partition, vec![event]).await.unwrap();
    }

    pub(crate) fn applied(&self, mutation: MutationId, rows: Vec<AppliedRow>) -> Event {
        Event::MutationApplied(MutationApplied { mutation, owner: self.owner, attempt: 1, rows, keep_claims: false })
    }

    pub(crate) async fn observe(&self, seen: (i64, i64), rows: Vec<ObservedRow>) {
        let partition = partition_for(Stream::Observations, &table(), "", self.log.partitions());
        let seen = Interval { begun_us: seen.0, ended_us: seen.1 };
        let event = RecordsObserved { table: table(), kind: "by_id".into(), seen, rows };
        let positions = self.log.append(partition, vec![Event::RecordsObserved(event)]).await.unwrap();
        self.reached(partition, positions[0]).await;
    }

    /// Waits until the reconciler has folded that position.
    pub(crate) async fn reached(&self, partition: Partition, position: Position) {
        let sql = format!(
            "select next_position from upwrite.positions where stream = '{}' and partition = {}",
            partition.stream.as_str(),
            partition.number
        );
        until(LIMIT, "the reconciler's position", || async {
            let next: Option<i64> = self.value(&sql).await;
            next.filter(|next| *next > position.0).map(drop)
        })
        .await;
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn value<T>(&self, sql: &str) -> Option<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_optional(&self.admin).await.unwrap()?;
        row.try_get::<Option<T>, _>(0).unwrap()
    }

    pub(crate) async fn wait<T>(&self, what: &str, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        until(LIMIT, what, || self.value(sql)).await
    }

    pub(crate) async fn finished(&self, mutation: MutationId) -> String {
        let sql = format!("select state from upwrite.mutations where id = '{mutation}' and finished_at is not null");
        self.wait("a verdict", &sql).await
    }

    pub(crate) async fn claims(&self, mutation: MutationId) -> i64 {
        self.value(&format!("select count(*) from upwrite.claims where mutation = '{mutation}'")).await.unwrap()
    }

    /// A transaction of somebody else's, with a lock on what `sql` names. User triggers have no say in `select`.
    pub(crate) async fn lock(&self, sql: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut tx = self.admin.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await.unwrap();
        tx
    }
}

/// Whatever a test does: nothing that belongs to a mutation is left behind once the mutation is released.
impl Drop for TestDeployment {
    fn drop(&mut self) {
        if let Some((stop, _)) = &self.running {
            stop.cancel();
        }
        if std::thread::panicking() {
            return;
        }
        let superuser = self.superuser.clone();
        // The test's own runtime may be this very thread's.
        let left = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(left_behind(&superuser))
        });
        assert_eq!(left.join().unwrap(), [""; 0], "left behind by released mutations");
    }
}

async fn left_behind(superuser: &str) -> Vec<String> {
    let options: PgConnectOptions = superuser.parse().unwrap();
    // A lock that the test has not given back must not hang it.
    let mut connection = PgConnection::connect_with(&options.options([("statement_timeout", "5s")])).await.unwrap();
    sqlx::query_scalar(
        "select 'claim ' || c.key from upwrite.claims c join upwrite.mutations m on m.id = c.mutation
          where m.released or m.state = 'voided'
         union all
         select 'parked image of ' || p.key from upwrite.parked p join upwrite.mutations m on m.id = p.mutation
          where m.released",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

async fn open_log(service: &str) -> Arc<PostgresLog> {
    let pool = PgPoolOptions::new().max_connections(5).connect(service).await.unwrap();
    PostgresLog::open(pool, LogConfig::default(), CancellationToken::new()).await.unwrap()
}

pub(crate) fn request(mutation: MutationId, change: RowChange) -> MutationRequested {
    MutationRequested::new(mutation, vec![change]).at(1_700_000_000_000_000).from_client("app", "app", "test")
}

/// A key of the test's table whose mutations are in that partition.
pub(crate) fn key_in(number: u16, partitions: u16, nth: usize) -> String {
    let mut keys = (0..).map(|n| format!("003-{n}"));
    let wanted = |key: &String| partition_for(Stream::Mutations, &table(), key, partitions).number == number;
    keys.by_ref().filter(wanted).nth(nth).unwrap()
}

pub(crate) fn image(key: &str, name: &str, n: &str) -> Row {
    let value = |text: &str| Some(text.to_owned());
    [("id", value(key)), ("name", value(name)), ("n", value(n)), ("tags", value("{a,\"b c\"}")), ("upwrite_key", None)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

pub(crate) fn insert() -> RowChange {
    RowChange {
        table: table(),
        op: Op::Insert,
        key: format!("pending:{}", uuid::Uuid::new_v4()),
        version: None,
        changed: [("name".to_owned(), Some("Ada".to_owned()))].into(),
        old: Row::new(),
    }
}

pub(crate) fn change(op: Op, key: &str, name: &str) -> RowChange {
    let changed = if op == Op::Delete { Row::new() } else { [("name".to_owned(), Some(name.to_owned()))].into() };
    RowChange { table: table(), op, key: key.into(), version: Some(1), changed, old: image(key, "old", "1.00") }
}

pub(crate) fn seen_row(key: &str, name: &str, version: &str) -> ObservedRow {
    ObservedRow { key: key.into(), image: Some(image(key, name, "1")), vendor_version: Some(version.into()) }
}

pub(crate) fn applied_row(key: &str, image: Option<Row>, version: Option<&str>, seen: (i64, i64)) -> AppliedRow {
    AppliedRow {
        row: 0,
        key: key.into(),
        image,
        vendor_version: version.map(str::to_owned),
        seen: Interval { begun_us: seen.0, ended_us: seen.1 },
    }
}
