//! The floor: the least that the promises of a held write cost on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use upwrite_e2e::World;
use upwrite_event_log::{Config, Engine, EventLog, KafkaConfig, Notifier, Subscription, kafka};
use upwrite_events::{Event, Interval, ObservedRow, Partition, RecordsObserved, Stream, TableName};
use upwrite_testkit::{postgres::Cluster, postgres::Options, schema};

/// A log of its own on the same kind of components, with nobody else at work on it.
pub(crate) struct Floor {
    log: Arc<dyn EventLog>,
    partition: Partition,
    consumer: Subscription,
    commits: PgConnection,
    /// Where the log is not in Postgres, claims are a commit of their own.
    claims_apart: bool,
    _cluster: Cluster,
}

impl Floor {
    pub(crate) async fn start(world: &World) -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        schema::install(&url, &[] as &[&str], 1).await;
        let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
        let pool = PgPoolOptions::new().max_connections(4).connect(&service).await?;
        let engine = match &world.kafka {
            None => Engine::Postgres(Config::default()),
            Some(brokers) => {
                let config = KafkaConfig {
                    topic_prefix: "floor".to_owned(),
                    replication: 1,
                    min_insync: 1,
                    ..KafkaConfig::new(&brokers.bootstrap)
                };
                kafka::prepare(&config, 1, &[]).await?;
                let mut superuser = PgConnection::connect(&url).await?;
                sqlx::query("update upwrite.deployment set log_engine = 'kafka'").execute(&mut superuser).await?;
                Engine::Kafka(config)
            }
        };
        let stop = CancellationToken::new();
        let notifier = Notifier::start(&pool, stop.clone());
        let log = upwrite_event_log::open(engine, pool, notifier, stop).await?;
        let partition = Partition { stream: Stream::Observations, number: 0 };
        let consumer = log.subscribe(partition, log.end(partition).await?);
        let mut commits = PgConnection::connect(&url).await?;
        sqlx::query("create table floor (id bigint generated always as identity primary key, row text)")
            .execute(&mut commits)
            .await?;
        let claims_apart = world.kafka.is_some();
        Ok(Self { log, partition, consumer, commits, claims_apart, _cluster: cluster })
    }

    async fn commit(&mut self, text: &str) -> anyhow::Result<()> {
        sqlx::query("insert into floor (row) values ($1)").bind(text).execute(&mut self.commits).await?;
        Ok(())
    }

    /// One of each; how long they took together.
    pub(crate) async fn once(&mut self) -> anyhow::Result<Duration> {
        let rows = vec![ObservedRow { key: "003".into(), image: Some(row()), vendor_version: None }];
        let seen = Interval { begun_us: 0, ended_us: 0 };
        let event = RecordsObserved { table: TableName::new("bench", "floor"), kind: "bench".into(), seen, rows };
        let begun = Instant::now();
        if self.claims_apart {
            self.commit("claim").await?;
        }
        // The consumer may see it before the append's own answer: whoever comes last.
        let append = self.log.append(self.partition, vec![Event::RecordsObserved(event)]);
        let (appended, seen) = tokio::join!(append, self.consumer.next());
        appended?;
        seen.unwrap()?;
        self.commit(&"x".repeat(300)).await?;
        Ok(begun.elapsed())
    }
}

fn row() -> upwrite_events::Row {
    (0..6).map(|n| (format!("column_{n}"), Some("a value of ordinary length".to_owned()))).collect()
}
