//! The start of a term: from one Postgres snapshot, through the log, to the own marker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use upwrite_event_log::{EventLog, LogError};
use upwrite_events::{Event, MutationId, MutationRequested, OwnerId, Partition, Phase, Position, Stream};
use uuid::Uuid;

use super::partition::Ownership;
use super::{Driver, Environment, Read, Term};
use crate::ApplierError;
use crate::backoff_delay::Delays;
use crate::projections::Snapshot;

/// Requests read again at the same time.
const PAYLOAD_READS: usize = 16;

/// What a term starts from.
pub(crate) struct Start {
    snapshot: Snapshot,
    /// The requests of the mutations in the snapshot.
    requests: HashMap<MutationId, Arc<MutationRequested>>,
}

/// Reads it, however long that takes. An error means that going on could do harm.
pub(super) async fn read(environment: &Environment, delays: &Delays, number: u16) -> Result<Start, ApplierError> {
    let mut failures = 0;
    let snapshot = loop {
        match environment.projections.snapshot(number).await {
            Ok(snapshot) => break snapshot,
            Err(error) => {
                failures += 1;
                tracing::warn!(
                    partition = number,
                    error = &error as &dyn std::error::Error,
                    failures,
                    "no snapshot yet, trying again"
                );
                environment.clock.sleep_until(environment.clock.now() + delays.after(failures)).await;
            }
        }
    };
    let requests = payloads(environment, delays, number, &snapshot).await?;
    Ok(Start { snapshot, requests })
}

impl Driver {
    /// Follows the partition from the snapshot on, and takes it.
    pub(super) fn follow(&mut self, term: Term, number: u16, start: Start) {
        let Start { snapshot, requests } = start;
        self.tables = Arc::new(self.tables.with(snapshot.tables, &self.environment.upstreams));
        // A call must fit in the lease, and some time for others must be left in it.
        let lease = self.environment.config.lease.max(self.tables.longest_call() * 2);
        let partition = Partition { stream: Stream::Mutations, number };
        let owner = OwnerId(Uuid::now_v7());
        let from = (snapshot.position, snapshot.owner);
        tracing::info!(%partition, position = %from.0, lease_ms = lease.as_millis() as u64, "taking the partition");
        let mut ownership = Ownership::new(partition, owner, lease, from, snapshot.unreleased);
        ownership.requests = requests;
        let (log, reads) = (Arc::clone(&self.environment.log), self.sender.clone());
        ownership.reader = Some(self.readers.spawn(follow(log, term, partition, from.0, reads)));
        self.terms.insert(term, ownership);
        self.take(term, Duration::ZERO);
    }
}

/// The requests of the mutations in the snapshot, read again from where they stand.
async fn payloads(
    environment: &Environment,
    delays: &Delays,
    number: u16,
    snapshot: &Snapshot,
) -> Result<HashMap<MutationId, Arc<MutationRequested>>, ApplierError> {
    let partition = Partition { stream: Stream::Mutations, number };
    let wanted = snapshot.unreleased.iter().filter(|(_, life)| life.phase != Phase::Voided);
    let reads = wanted.map(|(mutation, life)| payload(environment, delays, partition, *mutation, life.position));
    // Collected first: a borrowing iterator kept across the await would make the whole applier's future not `Send`.
    let reads: Vec<_> = reads.collect();
    let reads: Vec<_> = futures::stream::iter(reads).buffer_unordered(PAYLOAD_READS).collect().await;
    reads.into_iter().map(|read| read.map(|request| (request.mutation, Arc::new(request)))).collect()
}

async fn payload(
    environment: &Environment,
    delays: &Delays,
    partition: Partition,
    mutation: MutationId,
    position: Position,
) -> Result<MutationRequested, ApplierError> {
    let mut failures = 0;
    loop {
        match environment.log.read(partition, position, 1).await {
            Ok(mut records) => {
                let record = records.pop().filter(|record| record.position == position);
                return match record.map(|record| record.event) {
                    Some(Ok(Event::MutationRequested(request))) if request.mutation == mutation => Ok(request),
                    _ => Err(ApplierError::RequestMissing { mutation, partition, position }),
                };
            }
            Err(error @ (LogError::Mismatch(_) | LogError::Newer(_))) => return Err(error.into()),
            Err(error) => {
                failures += 1;
                tracing::warn!(%partition, %error, failures, "the log cannot be read, trying again");
                environment.clock.sleep_until(environment.clock.now() + delays.after(failures)).await;
            }
        }
    }
}

/// Hands on what a partition holds, in order; the last message is an error or the end.
async fn follow(log: Arc<dyn EventLog>, term: Term, partition: Partition, from: Position, reads: mpsc::Sender<Read>) {
    let mut subscription = log.subscribe(partition, from);
    loop {
        let batch = subscription.next().await;
        let last = !matches!(batch, Some(Ok(_)));
        if reads.send((term, batch)).await.is_err() || last {
            return;
        }
    }
}
