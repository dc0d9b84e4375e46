//! The engine on Kafka. Claims, and nothing else, are in Postgres.

mod brokers;
pub(crate) mod client;
mod codec;
pub(crate) mod config;
pub(crate) mod diagnosis;
mod fixed_options;
pub(crate) mod frame;
mod inner;
mod options;
mod orphans;
mod producer;
mod range;
mod readers;
pub(crate) mod registry;
mod submit;
mod subscription;
mod tails;
mod token;
pub(crate) mod topics;
mod voids;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use rdkafka::message::{Header, OwnedHeaders};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use upwrite_events::{Event, Partition, Position};

use crate::log::appender::{Appender, CommitListener, Item, encoded};
use crate::{EventLog, LogError, LogRecord, Submission, Submitted, Subscription};
pub use brokers::Unanswered;
use codec::Codec;
pub use config::{KafkaConfig, Registry};
pub use frame::{HEADER_EVENT, HEADER_MUTATION, HEADER_SCHEMA, HEADER_TRACEPARENT};
use inner::Inner;
use producer::{Outgoing, Producer};
use range::Ranges;
use readers::Readers;
use registry::SchemaRegistry;
use tails::Tails;
pub use token::TokenError;
pub use topics::{PrepareError, check, cluster_id, prepare};

/// Where a dead letter came from: its topic, partition, offset; and why it is one.
const HEADERS_OF_A_DEAD_LETTER: [&str; 4] =
    ["upwrite-origin-topic", "upwrite-origin-partition", "upwrite-origin-offset", "upwrite-reason"];

/// The log on Kafka. One per process: it has one producer, and few consumers.
#[derive(Clone)]
pub struct KafkaLog {
    inner: Arc<Inner>,
}

/// Claims are of no interest to readers.
struct NoListener;

impl CommitListener for NoListener {
    fn appended(&self, _: &Item, _: Position, _: i64) {}
}

impl KafkaLog {
    /// Opens the log that `upwrite setup` has prepared: topics on the brokers, and a database for the claims. `pool`
    /// logs in as `upwrite_service`. Registers all schemas, if there is a registry.
    ///
    /// On `shutdown` it finishes what it was given and refuses the rest.
    ///
    /// # Errors
    /// `Unavailable` if Postgres, the brokers or the registry do not answer. `Mismatch` if the database is not set up
    /// or belongs to another cluster, if a topic is missing or has settings that no promise can rest on, if an option
    /// is wrong, or if a schema breaks with what is registered.
    pub async fn open(pool: PgPool, config: KafkaConfig, shutdown: CancellationToken) -> Result<Arc<Self>, LogError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(LogError::Mismatch(mistakes.join("; ")));
        }
        let (partitions, cluster) = topics::deployment(&pool, config.connect_timeout).await?;
        let cluster = cluster.filter(|_| !config.any_cluster);
        let wrong = topics::check_topics(&config, partitions, cluster.as_deref()).await?;
        if !wrong.is_empty() {
            return Err(LogError::Mismatch(wrong.join("; ")));
        }
        let codec = Codec::new(open_registry(&config).await?);
        let broken = |error: rdkafka::error::KafkaError| LogError::Mismatch(error.to_string());
        let context = config.context();
        let producer = Arc::new(Producer::new(&config, &context).map_err(broken)?);
        tokio::spawn(Arc::clone(&producer).probe(shutdown.clone()));
        let (orphans, queue) = orphans::queue();
        let inner = Arc::new(Inner {
            partitions,
            producer,
            codec,
            readers: Readers::new(&config, &context),
            ranges: Ranges::new(&config, &context),
            tails: Tails::new(partitions),
            claims: Appender::start(&pool, config.claims.limits(), Arc::new(NoListener), shutdown.clone()),
            known_ends: (0..partitions).map(|_| AtomicI64::new(-1)).collect(),
            orphans,
            cannot_read: AtomicBool::new(false),
            config,
            shutdown: shutdown.clone(),
        });
        tokio::spawn(voids::end(Arc::downgrade(&inner), queue, pool, shutdown));
        Ok(Arc::new(Self { inner }))
    }
}

async fn open_registry(config: &KafkaConfig) -> Result<Option<Arc<SchemaRegistry>>, LogError> {
    let Some(registry) = config.registry.clone() else { return Ok(None) };
    let url = registry.url.clone();
    let unavailable = |error: registry::RegistryError| {
        let text = format!("schema registry {url}: {error}");
        match error {
            registry::RegistryError::Unreachable(_) => LogError::Unavailable(text),
            _ => LogError::Mismatch(text),
        }
    };
    let registry = SchemaRegistry::new(registry).map_err(&unavailable)?;
    registry.register_all(config).await.map_err(&unavailable)?;
    Ok(Some(Arc::new(registry)))
}

#[async_trait]
impl EventLog for KafkaLog {
    fn partitions(&self) -> u16 {
        self.inner.partitions
    }

    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError> {
        self.inner.check(partition).map_err(LogError::NotAppended)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let events = events.into_iter().map(encoded).collect::<Result<Vec<_>, _>>()?;
        self.inner.append(partition, events).await
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted, LogError> {
        let inner = Arc::clone(&self.inner);
        // A task of its own: it goes on when the caller goes away, and leaves no claim without an end.
        let submitting = tokio::spawn(inner.submit(submission).in_current_span());
        submitting.await.unwrap_or_else(|error| Err(LogError::Unknown(error.to_string())))
    }

    fn subscribe(&self, partition: Partition, from: Position) -> Subscription {
        if let Err(reason) = self.inner.check(partition) {
            return stream::once(async move { Err(LogError::Mismatch(reason)) }).boxed();
        }
        subscription::subscribe(Arc::clone(&self.inner), partition, from)
    }

    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError> {
        self.inner.check(partition).map_err(LogError::Mismatch)?;
        let (start, end) = self.inner.watermarks(partition).await?;
        if from < start {
            return Err(LogError::Mismatch(format!("{partition} begins at {start}, and was to be read from {from}")));
        }
        if from >= end || limit == 0 {
            return Ok(Vec::new());
        }
        let (inner, topic) = (Arc::clone(&self.inner), self.inner.config.topic(partition.stream));
        let read = move || inner.ranges.read(&topic, i32::from(partition.number), from, limit);
        let raw = tokio::task::spawn_blocking(read).await;
        let mut records = Vec::new();
        for raw in raw.map_err(|error| LogError::Unavailable(error.to_string()))?? {
            match self.inner.codec.record(partition, raw).await {
                Ok(record) => records.push(record),
                // What comes before it is read first.
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    async fn start(&self, partition: Partition) -> Result<Position, LogError> {
        self.inner.check(partition).map_err(LogError::Mismatch)?;
        Ok(self.inner.watermarks(partition).await?.0)
    }

    async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        self.inner.check(partition).map_err(LogError::Mismatch)?;
        Ok(self.inner.watermarks(partition).await?.1)
    }

    async fn dead_letter(&self, record: &LogRecord) -> Result<(), LogError> {
        let Err(undecodable) = &record.event else { return Ok(()) };
        let topic = self.inner.config.topic(record.partition.stream);
        let number = record.partition.number;
        let values = [topic, number.to_string(), record.position.to_string(), undecodable.reason.clone()];
        let mut headers = OwnedHeaders::new_with_capacity(values.len());
        for (key, value) in HEADERS_OF_A_DEAD_LETTER.into_iter().zip(&values) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let key = format!("{}:{}", record.partition, record.position);
        let letter = Outgoing { key, headers, value: undecodable.value.clone() };
        self.inner.producer.send(&self.inner.config.dead_letters_topic(), 0, vec![letter]).await.map(|_| ())
    }
}
