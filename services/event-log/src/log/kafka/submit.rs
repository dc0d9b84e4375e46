//! Claims in Postgres, then the request on Kafka.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;
use upwrite_events::{Event, MutationId, MutationRequested, Partition, Position, Stream};

use super::inner::Inner;
use super::subscription;
use crate::log::appender::{Done, Item, encoded};
use crate::{LogError, Submission, Submitted, partition_for};

impl Inner {
    pub(crate) async fn submit(self: Arc<Self>, submission: Submission) -> Result<Submitted, LogError> {
        let Submission { claims, versions, request } = submission;
        let Some(first) = request.rows.first() else {
            return Err(LogError::NotAppended("a request without rows".to_owned()));
        };
        let partition = partition_for(Stream::Mutations, &first.table, &first.key, self.partitions);
        let mutation = request.mutation;
        let event = encoded(Event::MutationRequested(request))?;
        // Nothing is claimed for what cannot be sent.
        if !self.producer.reach().until_back(self.config.connect_timeout).await {
            return Err(LogError::NotAppended(self.producer.reach().why()));
        }
        match self.claims.run(Item::claim(partition, mutation, claims, versions)).await {
            Ok(Done::Reserved) => {}
            Ok(Done::Claimed { claim, by }) => return Ok(Submitted::Claimed { claim, by }),
            Ok(Done::Stale) => return Ok(Submitted::Stale),
            Ok(Done::Accepted(_)) | Err(LogError::Unknown(_)) => {
                // Claimed or not: no request follows.
                self.orphans.release(mutation);
                return Err(LogError::NotAppended("Postgres did not answer whether it claimed the records".to_owned()));
            }
            Err(error) => return Err(error),
        }
        let before = self.watermark_for_settling(partition).await;
        match self.append(partition, vec![event]).await {
            Ok(positions) => match positions.first() {
                Some(position) => {
                    self.known_ends[usize::from(partition.number)].fetch_max(position.next().0, Ordering::Relaxed);
                    Ok(Submitted::Accepted { partition, position: *position })
                }
                None => Err(LogError::Unknown("the brokers did not say where it stands".to_owned())),
            },
            Err(LogError::Unknown(reason)) => {
                self.orphans.void(partition, mutation, &reason);
                self.settle(partition, mutation, before, reason).await
            }
            Err(error) => {
                self.orphans.release(mutation);
                Err(error)
            }
        }
    }

    /// A position before which the request, not yet sent, cannot stand; asked for only if the caller would wait.
    async fn watermark_for_settling(&self, partition: Partition) -> Option<Position> {
        if self.config.settle_timeout == Duration::ZERO {
            return None;
        }
        match self.known_ends[usize::from(partition.number)].load(Ordering::Relaxed) {
            known @ 0.. => Some(Position(known)),
            _ => self.watermarks(partition).await.ok().map(|(_, end)| end),
        }
    }

    /// Waits, within bounds, until the request or its void stands: the first of them counts.
    async fn settle(
        self: Arc<Self>,
        partition: Partition,
        mutation: MutationId,
        from: Option<Position>,
        reason: String,
    ) -> Result<Submitted, LogError> {
        let Some(from) = from else { return Err(LogError::Unknown(reason)) };
        let patience = self.config.settle_timeout;
        let looking = async move {
            let mut records = subscription::subscribe(self, partition, from);
            while let Some(Ok(batch)) = records.next().await {
                for record in batch {
                    match record.event {
                        Ok(Event::MutationRequested(MutationRequested { mutation: found, .. }))
                            if found == mutation =>
                        {
                            return Some(Ok(Submitted::Accepted { partition, position: record.position }));
                        }
                        Ok(Event::MutationVoided(voided)) if voided.mutation == mutation => {
                            return Some(Err(LogError::NotAppended(voided.reason)));
                        }
                        _ => {}
                    }
                }
            }
            None
        };
        match timeout(patience, looking).await {
            Ok(Some(settled)) => settled,
            Ok(None) | Err(_) => Err(LogError::Unknown(reason)),
        }
    }
}
