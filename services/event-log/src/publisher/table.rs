//! One table's publisher.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_events::{TableName, newest_record_schema};

use super::failure::{Failure, RecordsError};
use super::message::{Origin, message};
use super::outbox::Outbox;
use super::producer::Producer;
use super::tail;
use crate::log::kafka::config::KafkaConfig;
use crate::log::kafka::registry::{RegistryError, SchemaRegistry};
use crate::log::kafka::topics;

/// How often an empty outbox is looked at.
const IDLE: Duration = Duration::from_millis(250);
/// Between tries while Postgres or the brokers are away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the waiting rows are counted.
const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// Publishes one table's rows from `upwrite.outbox` to its compacted topic: of each key all versions, in the order of
/// their commits, each once.
pub struct RecordsPublisher {
    config: KafkaConfig,
    table: TableName,
    topic: String,
    outbox: Outbox,
    registry: Option<Arc<SchemaRegistry>>,
}

/// What a publisher works with once it has taken the table.
struct Tenancy {
    origin: Origin,
    schema: Option<u32>,
    producer: Producer,
}

impl RecordsPublisher {
    /// `pool` logs in as `upwrite_service`. The options of `config` are taken to be right ([`KafkaConfig::mistakes`]).
    ///
    /// # Errors
    /// `Mismatch` if the registry's settings are wrong. Asks no server.
    pub fn new(config: KafkaConfig, pool: PgPool, table: TableName) -> Result<Self, RecordsError> {
        let mismatch = |reason: String| RecordsError::Mismatch { table: table.clone(), reason };
        let registry = config.registry.clone().map(SchemaRegistry::new).transpose();
        let registry = registry.map_err(|error| mismatch(error.to_string()))?.map(Arc::new);
        let (topic, outbox) = (config.records_topic(&table), Outbox::new(pool, table.clone()));
        Ok(Self { config, table, topic, outbox, registry })
    }

    /// Publishes until `stop`; a batch that has begun is finished. While Postgres, the brokers or the registry are
    /// away, or the topic is not what it must be, it tries again and again.
    ///
    /// # Errors
    /// `Fenced` once another publisher has taken the table. `Mismatch` if the schema breaks with what is registered.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), RecordsError> {
        let mut pause = FIRST_PAUSE;
        let mut said = LastFailure::default();
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let failure = match self.tenure(stop, &mut said).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let (source, name) = (self.table.source.clone(), self.table.table.clone());
            metrics::counter!("upwrite_records_failures_total", "source" => source, "table" => name).increment(1);
            match failure {
                Failure::Fenced => return Err(RecordsError::Fenced(self.table.clone())),
                Failure::Mismatch(reason) => {
                    return Err(RecordsError::Mismatch { table: self.table.clone(), reason });
                }
                Failure::Away(reason) => said.failed(&self.table, reason),
            }
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.show(0.0, 0);
        Ok(())
    }

    /// From taking over to the first failure.
    async fn tenure(&self, stop: &CancellationToken, said: &mut LastFailure) -> Result<(), Failure> {
        let taken = self.take_over().await?;
        let mut counted: Option<Instant> = None;
        while !stop.is_cancelled() {
            let published = self.batch(&taken).await?;
            said.works(&self.table);
            if counted.is_none_or(|counted| counted.elapsed() >= COUNTED_EVERY) {
                counted = Some(Instant::now());
                self.count(self.outbox.waiting().await?);
            }
            if published == 0 {
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    async fn take_over(&self) -> Result<Tenancy, Failure> {
        // Postgres first: while it is away, no publisher is fenced for nothing.
        let (origin, partitions) = self.outbox.deployment().await?;
        let wrong = topics::check_records(&self.config, partitions, &self.table).await.map_err(Failure::away)?;
        if !wrong.is_empty() {
            return Err(Failure::Away(wrong.join("; ")));
        }
        let schema = self.schema().await?;
        let producer = Producer::take_over(&self.config, &self.topic).await?;
        let (config, topic, outbox) = (self.config.clone(), self.topic.clone(), origin.clone());
        let read = move || tail::published(&config, &topic, &outbox);
        let published = tokio::task::spawn_blocking(read).await.map_err(Failure::away)??;
        let removed = self.outbox.remove_published(published).await?;
        tracing::info!(table = %self.table, removed, "publishing records");
        Ok(Tenancy { origin, schema, producer })
    }

    /// The id of the schema that is written, if there is a registry.
    async fn schema(&self) -> Result<Option<u32>, Failure> {
        let Some(registry) = &self.registry else { return Ok(None) };
        match registry.registered(&self.topic, newest_record_schema()).await {
            Ok(id) => Ok(Some(id)),
            Err(error @ RegistryError::Incompatible { .. }) => Err(Failure::Mismatch(error.to_string())),
            Err(error) => Err(Failure::Away(format!("schema registry: {error}"))),
        }
    }

    /// How many rows were published.
    async fn batch(&self, taken: &Tenancy) -> Result<usize, Failure> {
        let batch = self.outbox.take().await?;
        let age = batch.iter().map(|waiting| waiting.age).fold(0.0, f64::max);
        self.lag(age);
        if batch.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = batch.iter().map(|waiting| waiting.id).collect();
        let messages = batch.into_iter().map(|waiting| message(&self.table, &taken.origin, taken.schema, waiting));
        taken.producer.publish(messages.collect::<Result<_, _>>()?).await?;
        let (source, name) = (self.table.source.clone(), self.table.table.clone());
        metrics::counter!("upwrite_records_published_total", "source" => source, "table" => name)
            .increment(ids.len() as u64);
        self.outbox.remove(&ids).await?;
        Ok(ids.len())
    }

    fn show(&self, lag: f64, waiting: u32) {
        self.lag(lag);
        self.count(waiting);
    }

    fn lag(&self, seconds: f64) {
        let (source, name) = (self.table.source.clone(), self.table.table.clone());
        metrics::gauge!("upwrite_records_lag_seconds", "source" => source, "table" => name).set(seconds);
    }

    fn count(&self, waiting: u32) {
        let (source, name) = (self.table.source.clone(), self.table.table.clone());
        metrics::gauge!("upwrite_records_outbox_count", "source" => source, "table" => name).set(f64::from(waiting));
    }
}

/// Logs each failure once, and its end.
#[derive(Default)]
struct LastFailure(Option<String>);

impl LastFailure {
    fn failed(&mut self, table: &TableName, reason: String) {
        if self.0.as_ref() == Some(&reason) {
            tracing::debug!(%table, reason, "records still cannot be published");
        } else {
            tracing::warn!(%table, reason, "records cannot be published now; trying until they can");
            self.0 = Some(reason);
        }
    }

    fn works(&mut self, table: &TableName) {
        if self.0.take().is_some() {
            tracing::info!(%table, "records are published again");
        }
    }
}
