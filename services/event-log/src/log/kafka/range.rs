//! Reading a range, with consumers that are kept for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use upwrite_events::Position;

use super::client::{Aside, Context};
use super::config::KafkaConfig;
use super::frame::Raw;
use crate::LogError;

/// Encoded bytes in one read, unless one record alone is larger.
const READ_BYTES: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// Consumers that are kept for the next read.
const KEPT: usize = 4;

type Consumer = Aside<BaseConsumer<Context>>;

pub(crate) struct Ranges {
    config: ClientConfig,
    context: Context,
    idle: Mutex<Vec<Consumer>>,
}

impl Ranges {
    pub(crate) fn new(config: &KafkaConfig, context: &Context) -> Self {
        // A request that is under way when the next read begins holds it up for so long.
        let mut config = config.consumer(Duration::from_millis(5));
        config.set("enable.partition.eof", "true");
        Self { config, context: context.named("range"), idle: Mutex::default() }
    }

    /// Up to `limit` records from `from` on. Blocks.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) fn read(&self, topic: &str, number: i32, from: Position, limit: usize) -> Result<Vec<Raw>, LogError> {
        let unavailable = |error: KafkaError| LogError::Unavailable(self.context.diagnosis().explain(&error));
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let consumer = match idle {
            Some(consumer) => consumer,
            None => Aside::new(self.config.create_with_context(self.context.clone()).map_err(unavailable)?),
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, Offset::Offset(from.0)).map_err(unavailable)?;
        consumer.assign(&list).map_err(unavailable)?;
        let read = collect(&consumer, limit).map_err(unavailable);
        // One that failed is not kept.
        if read.is_ok() && consumer.unassign().is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(consumer);
            }
        }
        read
    }
}

fn collect(consumer: &Consumer, limit: usize) -> Result<Vec<Raw>, KafkaError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let until = Instant::now() + PATIENCE;
    while records.len() < limit && bytes < READ_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        match consumer.poll(left) {
            Some(Ok(message)) => {
                let raw = Raw::of(&message);
                bytes += raw.value.len();
                records.push(raw);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            // What was read is good; the rest is for another try.
            Some(Err(_)) if !records.is_empty() => break,
            // Brokers come back within the time there is, or not.
            Some(Err(error)) if passes(&error) => {}
            Some(Err(error)) => return Err(error),
            None if left.is_zero() && records.is_empty() => {
                return Err(KafkaError::Canceled);
            }
            None if left.is_zero() => break,
            None => {}
        }
    }
    Ok(records)
}

fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve))
}
