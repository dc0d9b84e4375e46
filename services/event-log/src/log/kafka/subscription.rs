//! Reading on and on: one partition from a position.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use upwrite_events::{Partition, Position};

use super::frame::{self, Raw};
use super::inner::Inner;
use super::readers::ConsumerSlot;
use crate::{LogError, LogRecord, Subscription};

/// Records in one batch.
const BATCH_RECORDS: usize = 256;
/// Bytes in one batch, unless one record alone is larger.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Between tries while the brokers are away.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A position beyond the end is looked at so often before it counts: after a change of leader, the end may lag.
const LOOKS: u32 = 8;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// A reader's follower.
struct TopicFollower {
    log: Arc<Inner>,
    topic: String,
    partition: Partition,
    from: Position,
    slot: Option<ConsumerSlot>,
    /// Of what this process appends there.
    grown: Option<watch::Receiver<()>>,
    /// Whether it has said, for all readers of the process, that nothing can be read.
    complained: bool,
}

pub(crate) fn subscribe(log: Arc<Inner>, partition: Partition, from: Position) -> Subscription {
    let topic = log.config.topic(partition.stream);
    let follower = TopicFollower { log, topic, partition, from, slot: None, grown: None, complained: false };
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(records) => Some((Ok(records), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl TopicFollower {
    /// The next records; an error only if the follower does not exist, or cannot be understood.
    async fn next(&mut self) -> Result<Vec<LogRecord>, LogError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.look().await {
                Ok(records) => {
                    self.from = records.last().map_or(self.from, |last| last.position.next());
                    self.back();
                    return Ok(records);
                }
                Err(LogError::Unavailable(reason)) => {
                    self.away(&reason);
                    self.slot = None;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Says it once for all readers.
    fn away(&mut self, reason: &str) {
        let partition = self.partition;
        tracing::debug!(%partition, reason, "cannot be read now");
        if !self.complained && !self.log.cannot_read.swap(true, Ordering::Relaxed) {
            self.complained = true;
            tracing::warn!(%partition, reason, "the event log cannot be read; trying again until it can");
        }
    }

    fn back(&mut self) {
        if std::mem::take(&mut self.complained) {
            self.log.cannot_read.store(false, Ordering::Relaxed);
            tracing::info!(partition = %self.partition, "the event log can be read again");
        }
    }

    async fn look(&mut self) -> Result<Vec<LogRecord>, LogError> {
        if self.slot.is_none() {
            self.exists().await?;
            self.take_slot().await?;
        }
        let raw = match self.received().await? {
            Received::FromHere(records) => return Ok(records),
            Received::FromBrokers(raw) => raw,
        };
        let mut records = Vec::with_capacity(raw.len());
        for raw in raw {
            match self.log.codec.record(self.partition, raw).await {
                Ok(record) => records.push(record),
                // What comes before it is returned first; it is read again.
                Err(_) if !records.is_empty() => {
                    self.slot = None;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Whether the position is one that the log has, or is about to have.
    async fn exists(&self) -> Result<(), LogError> {
        let mut looks = 1;
        loop {
            let (start, end) = self.log.watermarks(self.partition).await?;
            if self.from < start {
                let wanted = self.from;
                return Err(LogError::Mismatch(format!(
                    "{} of {} begins at {start}, and was to be read from {wanted}",
                    self.partition, self.topic
                )));
            }
            if self.from <= end {
                return Ok(());
            }
            if looks == LOOKS {
                let wanted = self.from;
                return Err(LogError::Mismatch(format!(
                    "{} of {} ends at {end}, and was to be read from {wanted}",
                    self.partition, self.topic
                )));
            }
            looks += 1;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn take_slot(&mut self) -> Result<(), LogError> {
        self.grown = self.log.tails.watch(self.partition);
        let (log, topic, runtime) = (Arc::clone(&self.log), self.topic.clone(), Handle::current());
        let (partition, from) = (self.partition, self.from);
        let taking = tokio::task::spawn_blocking(move || log.readers.slot(&topic, partition, from, runtime)).await;
        let slot = taking.map_err(|error| LogError::Unavailable(error.to_string()))?;
        self.slot = Some(slot.map_err(|error| LogError::Unavailable(error.to_string()))?);
        Ok(())
    }

    /// What has come; waits if nothing has.
    async fn received(&mut self) -> Result<Received, LogError> {
        let gone = || LogError::Unavailable("the reader has gone".to_owned());
        let queue = self.slot.as_ref().and_then(ConsumerSlot::queue).ok_or_else(gone)?;
        let grown = self.grown.as_mut().ok_or_else(gone)?;
        let mut raw: Vec<Raw> = Vec::new();
        while raw.is_empty() {
            if let Some(records) = self.log.tails.read(self.partition, self.from, BATCH_RECORDS) {
                return Ok(Received::FromHere(records));
            }
            tokio::select! {
                biased;
                first = queue.recv() => {
                    let first = first.map_err(|error| self.log.failed(self.partition, &error))?;
                    let position = Position(first.offset());
                    if position >= self.from {
                        raw.push(Raw::of(&first));
                    } else if self.log.tails.contradicts(self.partition, position, frame::at_us(&first)) {
                        let (partition, topic) = (self.partition, &self.topic);
                        let reason = format!("{partition} of {topic} has another record at {position} than this process wrote");
                        return Err(LogError::Mismatch(reason));
                    }
                }
                // Its sender is in the log that this follower holds: it cannot have gone.
                _ = grown.changed() => {}
            }
        }
        let mut bytes = raw[0].value.len();
        while raw.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            // An error comes again, or has passed: the next look shows which.
            let Some(Ok(next)) = queue.recv().now_or_never() else { break };
            let next = Raw::of(&next);
            bytes += next.value.len();
            raw.push(next);
        }
        Ok(Received::FromBrokers(raw))
    }
}

enum Received {
    /// This process had appended them.
    FromHere(Vec<LogRecord>),
    FromBrokers(Vec<Raw>),
}

impl Inner {
    fn failed(&self, partition: Partition, error: &KafkaError) -> LogError {
        match error.rdkafka_error_code() {
            // The leader has another history than the one that was read.
            Some(RDKafkaErrorCode::LogTruncation) => {
                let topic = self.config.topic(partition.stream);
                LogError::Mismatch(format!("{partition} of {topic} was truncated: {error}"))
            }
            // Also a position that is gone: the next look finds out.
            _ => LogError::Unavailable(self.producer.explain(error)),
        }
    }
}

// A reader that ends takes its complaint with it.
impl Drop for TopicFollower {
    fn drop(&mut self) {
        if self.complained {
            self.log.cannot_read.store(false, Ordering::Relaxed);
        }
    }
}
