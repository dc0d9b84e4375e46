//! How long the log takes, whichever engine it is.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use upwrite_events::{Event, Partition, Position};

use crate::{EventLog, LogError, LogRecord, Submission, Submitted, Subscription};

/// The same log, with its appends measured: `upwrite_log_append_seconds{kind}` and
/// `upwrite_log_append_failures_total{kind,reason}`.
pub struct Measured {
    log: Arc<dyn EventLog>,
}

impl Measured {
    pub fn of(log: Arc<dyn EventLog>) -> Arc<dyn EventLog> {
        Arc::new(Self { log })
    }
}

fn measure<T>(kind: &'static str, begun: Instant, done: &Result<T, LogError>) {
    metrics::histogram!("upwrite_log_append_seconds", "kind" => kind).record(begun.elapsed());
    if let Err(error) = done {
        let reason = match error {
            LogError::NotAppended(_) => "not_appended",
            LogError::Unknown(_) => "unknown",
            LogError::Mismatch(_) => "mismatch",
            LogError::Unavailable(_) => "unavailable",
            LogError::Newer(_) => "newer",
            LogError::TooLarge { .. } => "too_large",
        };
        metrics::counter!("upwrite_log_append_failures_total", "kind" => kind, "reason" => reason).increment(1);
    }
}

#[async_trait]
impl EventLog for Measured {
    fn partitions(&self) -> u16 {
        self.log.partitions()
    }

    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError> {
        let begun = Instant::now();
        let done = self.log.append(partition, events).await;
        measure("append", begun, &done);
        done
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted, LogError> {
        let begun = Instant::now();
        let done = self.log.submit(submission).await;
        measure("submit", begun, &done);
        done
    }

    fn subscribe(&self, partition: Partition, from: Position) -> Subscription {
        self.log.subscribe(partition, from)
    }

    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError> {
        self.log.read(partition, from, limit).await
    }

    async fn start(&self, partition: Partition) -> Result<Position, LogError> {
        self.log.start(partition).await
    }

    async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        self.log.end(partition).await
    }

    async fn dead_letter(&self, record: &LogRecord) -> Result<(), LogError> {
        self.log.dead_letter(record).await
    }
}
