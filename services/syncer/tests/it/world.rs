//! A database of its own with synced tables and a log; in place of the reconciler, a task that says how far it has merged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::Connector;
use upwrite_event_log::{
    BootClock, Clock, Config as LogConfig, EventLog, GroupConfig, Membership, PgMembership, PostgresLog, SoleMember,
    partition_for,
};
use upwrite_events::{ColumnSpec, Event, Partition, Position, RecordsObserved, Stream, TableName, TableSpec};
use upwrite_syncer::{Config, SyncerError, run_with};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::{schema, until};

use crate::upstream::{Client, Upstream};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: u16 = 2;

pub(crate) struct World {
    pub(crate) admin: PgPool,
    pub(crate) pool: PgPool,
    pub(crate) log: Arc<PostgresLog>,
    merging: Vec<JoinHandle<()>>,
    shutdown: CancellationToken,
}

/// A syncer at work.
pub(crate) struct Running {
    task: JoinHandle<Result<(), SyncerError>>,
    shutdown: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// As by kill -9.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// As by SIGTERM.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.merging.iter().for_each(JoinHandle::abort);
        self.shutdown.cancel();
    }
}

pub(crate) fn quick() -> Config {
    let (short, long) = (Duration::from_millis(5), Duration::from_millis(50));
    Config { poll: short, min_pause: short, max_pause: long, ..Config::default() }
}

impl World {
    /// With these synced tables (source, table), and a reconciler that merges at once.
    pub(crate) async fn start(tables: &[(&str, &str)]) -> Self {
        let mut world = Self::without_reconciler(tables).await;
        world.merge();
        world
    }

    pub(crate) async fn without_reconciler(tables: &[(&str, &str)]) -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        let specs: Vec<String> =
            tables.iter().map(|(source, table)| serde_json::to_string(&spec(source, table)).unwrap()).collect();
        schema::install(&url, &specs, PARTITIONS).await;
        let pool = |url: &str| PgPoolOptions::new().max_connections(6).connect_lazy(url).unwrap();
        let service = pool(&cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD));
        let shutdown = CancellationToken::new();
        let log = PostgresLog::open(service.clone(), LogConfig::default(), shutdown.clone()).await.unwrap();
        Self { admin: pool(&url), pool: service, log, merging: Vec::new(), shutdown }
    }

    /// From now on what is in the log counts as merged.
    pub(crate) fn merge(&mut self) {
        for number in 0..PARTITIONS {
            let partition = Partition { stream: Stream::Observations, number };
            let mut records = self.log.subscribe(partition, Position::START);
            let admin = self.admin.clone();
            self.merging.push(tokio::spawn(async move {
                while let Some(Ok(batch)) = records.next().await {
                    let Some(last) = batch.last() else { continue };
                    let merged = "/* test.merged */ insert into upwrite.positions (stream, partition, next_position)
                         values ($1, $2, $3) on conflict (stream, partition) do update set next_position = $3";
                    let merged = sqlx::query(merged).bind(Stream::Observations.as_str());
                    merged.bind(i32::from(number)).bind(last.position.next().0).execute(&admin).await.unwrap();
                }
            }));
        }
    }

    /// A syncer that has all of the upstream to itself.
    pub(crate) fn sync(&self, upstream: &Arc<Upstream>) -> Running {
        let connector = Client("alone", Arc::clone(upstream));
        let membership = SoleMember::of_names([connector.source().to_owned()]);
        let clock = BootClock::new().unwrap();
        self.run("alone", quick(), &[upstream], Box::new(membership), Arc::new(clock))
    }

    /// One of several, which knows these upstreams.
    pub(crate) fn sync_in_group(&self, name: &'static str, upstreams: &[&Arc<Upstream>]) -> Running {
        let options = self.pool.connect_options().as_ref().clone();
        let names = upstreams.iter().map(|upstream| Client(name, Arc::clone(upstream)).source().to_owned());
        let config = GroupConfig { tick: Duration::from_millis(50), ..GroupConfig::default() };
        let never = CancellationToken::new();
        let membership = PgMembership::join_named(options, "syncer", names, config, never).unwrap();
        self.run(name, quick(), upstreams, Box::new(membership), Arc::new(BootClock::new().unwrap()))
    }

    pub(crate) fn run(
        &self,
        name: &'static str,
        config: Config,
        upstreams: &[&Arc<Upstream>],
        membership: Box<dyn Membership<String>>,
        clock: Arc<dyn Clock>,
    ) -> Running {
        let shutdown = CancellationToken::new();
        let connectors = upstreams.iter().map(|upstream| {
            let connector: Arc<dyn Connector> = Arc::new(Client(name, Arc::clone(upstream)));
            (connector.source().to_owned(), connector)
        });
        let connectors: HashMap<String, Arc<dyn Connector>> = connectors.collect();
        let (pool, log, stop) = (self.pool.clone(), self.log.clone(), shutdown.clone());
        let run = run_with(config, pool, log, membership, connectors, clock, stop);
        Running { task: tokio::spawn(run), shutdown }
    }

    /// What was observed of a table, in order.
    pub(crate) async fn observed(&self, source: &str, table: &str) -> Vec<RecordsObserved> {
        let name = TableName::new(source, table);
        let partition = partition_for(Stream::Observations, &name, "", self.log.partitions());
        let records = self.log.read(partition, Position::START, 10_000).await.unwrap();
        let events = records.into_iter().filter_map(|record| match record.event.unwrap() {
            Event::RecordsObserved(observed) if observed.table == name => Some(observed),
            _ => None,
        });
        events.collect()
    }

    pub(crate) async fn is_backfilled(&self, source: &str, table: &str) -> bool {
        let sql = "/* test.backfilled */ select backfilled_at is not null and backfill_cursor is null
             from upwrite.tables where source = $1 and table_name = $2";
        sqlx::query_scalar(sql).bind(source).bind(table).fetch_one(&self.admin).await.unwrap()
    }

    pub(crate) async fn backfilled(&self, source: &str, table: &str) {
        until(LIMIT, "the end of a backfill", || async { self.is_backfilled(source, table).await.then_some(()) }).await;
    }

    /// As the reconciler asks.
    pub(crate) async fn want(&self, source: &str, table: &str, key: &str) {
        let sql = "/* test.want */ insert into upwrite.rereads (source, table_name, key) values ($1, $2, $3)
             on conflict (source, table_name, key) do update set ticket = default";
        sqlx::query(sql).bind(source).bind(table).bind(key).execute(&self.admin).await.unwrap();
    }

    pub(crate) async fn is_wanted(&self, source: &str, table: &str) -> bool {
        let sql = format!(
            "/* test.wanted */ select exists (select from upwrite.rereads where source = '{source}' and table_name = '{table}')"
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.admin).await.unwrap()
    }

    /// Waits until nothing of the table is wanted any more.
    pub(crate) async fn reread(&self, source: &str, table: &str) {
        until(LIMIT, "records to be read again", || async { (!self.is_wanted(source, table).await).then_some(()) })
            .await;
    }
}

fn spec(source: &str, table: &str) -> TableSpec {
    let column = |name: &str| ColumnSpec {
        name: name.into(),
        field: name.into(),
        sql_type: "text".into(),
        vendor_type: "string".into(),
        comment: None,
        insertable: name != "id",
        updatable: name != "id",
        required: false,
        unique: false,
        case_sensitive: true,
        references: None,
    };
    TableSpec {
        name: TableName::new(source, table),
        object: table.into(),
        comment: None,
        key: "id".into(),
        key_assigned_upstream: true,
        idempotency_column: None,
        version_column: None,
        columns: vec![column("id"), column("name")],
    }
}
