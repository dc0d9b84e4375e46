//! The floor: one durable append seen by a consumer, then one Postgres commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use upwrite_e2e::World;
use upwrite_event_log::{Config, EventLog, PostgresLog, Subscription};
use upwrite_events::{Event, Interval, ObservedRow, Partition, RecordsObserved, Stream, TableName};
use upwrite_testkit::{postgres::Cluster, postgres::Options, schema};

/// A log of its own on the same kind of cluster, with nobody else at work on it.
pub(crate) struct Floor {
    log: Arc<PostgresLog>,
    partition: Partition,
    consumer: Subscription,
    commits: PgConnection,
    _cluster: Cluster,
}

impl Floor {
    pub(crate) async fn start(_world: &World) -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        schema::install(&url, &[] as &[&str], 1).await;
        let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
        let pool = PgPoolOptions::new().max_connections(4).connect(&service).await?;
        let log = PostgresLog::open(pool, Config::default(), CancellationToken::new()).await?;
        let partition = Partition { stream: Stream::Observations, number: 0 };
        let consumer = log.subscribe(partition, log.end(partition).await?);
        let mut commits = PgConnection::connect(&url).await?;
        sqlx::query("create table floor (id bigint generated always as identity primary key, row text)")
            .execute(&mut commits)
            .await?;
        Ok(Self { log, partition, consumer, commits, _cluster: cluster })
    }

    /// One of each; how long the two took together.
    pub(crate) async fn once(&mut self) -> anyhow::Result<Duration> {
        let rows = vec![ObservedRow { key: "003".into(), image: Some(row()), vendor_version: None }];
        let seen = Interval { begun_us: 0, ended_us: 0 };
        let event = RecordsObserved { table: TableName::new("bench", "floor"), kind: "bench".into(), seen, rows };
        let begun = Instant::now();
        // The consumer may see it before the append's own answer: whoever comes last.
        let append = self.log.append(self.partition, vec![Event::RecordsObserved(event)]);
        let (appended, seen) = tokio::join!(append, self.consumer.next());
        appended?;
        seen.unwrap()?;
        sqlx::query("insert into floor (row) values ($1)").bind("x".repeat(300)).execute(&mut self.commits).await?;
        Ok(begun.elapsed())
    }
}

fn row() -> upwrite_events::Row {
    (0..6).map(|n| (format!("column_{n}"), Some("a value of ordinary length".to_owned()))).collect()
}
