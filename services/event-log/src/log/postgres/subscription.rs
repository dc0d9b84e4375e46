//! Reading on and on: one partition from a position.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use upwrite_events::{Partition, Position};

use super::reader::Reader;
use super::tails::PartitionTails;
use crate::{LogError, LogRecord, Subscription};

/// Records in one batch of a subscription.
const BATCH_RECORDS: usize = 256;
/// Between tries while Postgres is away.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A reader's follower.
struct TableFollower {
    reader: Reader,
    tails: Arc<PartitionTails>,
    grown: watch::Receiver<Position>,
    partition: Partition,
    from: Position,
}

pub(crate) fn subscribe(
    reader: Reader,
    tails: Arc<PartitionTails>,
    partition: Partition,
    from: Position,
) -> Subscription {
    let Some(grown) = tails.watch(partition) else {
        let error = LogError::Mismatch(format!("no partition {partition}"));
        return stream::once(async move { Err(error) }).boxed();
    };
    let follower = TableFollower { reader, tails, grown, partition, from };
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(records) => Some((Ok(records), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl TableFollower {
    /// The next records; an error only if the follower does not exist. What `Unavailable` stands for passes.
    async fn next(&mut self) -> Result<Vec<LogRecord>, LogError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.look().await {
                Ok(Some(records)) => {
                    self.from = records.last().map_or(self.from, |last| last.position.next());
                    return Ok(records);
                }
                Ok(None) => {
                    pause = FIRST_PAUSE;
                    // Its sender is in `tails`, which this follower holds: it cannot have gone.
                    let _ = self.grown.changed().await;
                }
                Err(LogError::Unavailable(reason)) => {
                    self.tails.away(&LogError::Unavailable(reason));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is there now; `None` at the end.
    async fn look(&mut self) -> Result<Option<Vec<LogRecord>>, LogError> {
        if *self.grown.borrow_and_update() == self.from {
            return Ok(None);
        }
        if let Some(records) = self.tails.tail(self.partition).read(self.from, BATCH_RECORDS) {
            return Ok(Some(records));
        }
        let records = self.reader.read(self.partition, self.from, BATCH_RECORDS).await?;
        if !records.is_empty() {
            self.tails.back();
            return Ok(Some(records));
        }
        let end = self.reader.end(self.partition).await?;
        self.tails.back();
        if end == self.from {
            self.tails.raise(self.partition, end);
            return Ok(None);
        }
        // Appended between the two looks.
        let records = self.reader.read(self.partition, self.from, BATCH_RECORDS).await?;
        if !records.is_empty() {
            return Ok(Some(records));
        }
        Err(LogError::Mismatch(format!("{} ends at {end}, and was to be read from {}", self.partition, self.from)))
    }
}
