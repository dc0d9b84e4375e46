//! What appends, submissions and subscriptions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use rdkafka::producer::Producer as _;
use tokio_util::sync::CancellationToken;
use upwrite_events::{Partition, Position};

use super::codec::Codec;
use super::config::KafkaConfig;
use super::frame;
use super::orphans::Orphans;
use super::producer::{Outgoing, Producer};
use super::range::Ranges;
use super::readers::Readers;
use super::tails::Tails;
use crate::LogError;
use crate::log::appender::{Appender, Encoded};

/// The engine of one process.
pub(crate) struct Inner {
    pub(super) config: KafkaConfig,
    pub(super) partitions: u16,
    pub(super) producer: Arc<Producer>,
    pub(super) codec: Codec,
    pub(super) readers: Readers,
    pub(super) ranges: Ranges,
    pub(super) tails: Tails,
    pub(super) claims: Appender,
    /// Behind the last request of this process that was acknowledged, by partition of mutations.
    pub(super) known_ends: Vec<AtomicI64>,
    pub(super) orphans: Orphans,
    /// A reader has said that it cannot read.
    pub(super) cannot_read: AtomicBool,
    pub(super) shutdown: CancellationToken,
}

impl Inner {
    pub(super) fn check(&self, partition: Partition) -> Result<(), String> {
        if partition.number < self.partitions {
            return Ok(());
        }
        Err(format!("no partition {partition}; each stream has {}", self.partitions))
    }

    pub(super) async fn append(&self, partition: Partition, events: Vec<Encoded>) -> Result<Vec<Position>, LogError> {
        if self.shutdown.is_cancelled() {
            return Err(LogError::NotAppended("the event log is shutting down".to_owned()));
        }
        let topic = self.config.topic(partition.stream);
        let traceparent = crate::trace::current_traceparent();
        let mut records = Vec::with_capacity(events.len());
        for encoded in &events {
            let value = self.codec.value(&topic, encoded).await?;
            let headers = frame::headers(&encoded.event, traceparent.as_deref());
            records.push(Outgoing { key: frame::key(&encoded.event), headers, value });
        }
        let placed = self.producer.send(&topic, i32::from(partition.number), records).await?;
        self.tails.push(partition, &placed, events);
        Ok(placed.iter().map(|placed| placed.position).collect())
    }

    /// The first position that is still there, and the one that the next event will get.
    pub(super) async fn watermarks(&self, partition: Partition) -> Result<(Position, Position), LogError> {
        let unavailable = |reason: String| LogError::Unavailable(format!("{partition}: {reason}"));
        let (client, topic) = (self.producer.client(), self.config.topic(partition.stream));
        let patience = self.config.connect_timeout;
        let ask = move || client.client().fetch_watermarks(&topic, i32::from(partition.number), patience);
        let asked = tokio::task::spawn_blocking(ask).await.map_err(|error| unavailable(error.to_string()))?;
        let (start, end) = asked.map_err(|error| unavailable(self.producer.explain(&error)))?;
        Ok((Position(start), Position(end)))
    }
}
