//! Start: from one Postgres snapshot, through the log, to the own marker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::EventLog;
use upwrite_events::{Event, Lifecycle, MutationId, MutationRequested, OwnerId, Partition, Phase, Position, Stream};
use uuid::Uuid;

use super::partition::Owned;
use super::upstream::Tables;
use super::{Driver, LOG_BATCHES, Outside, Read};
use crate::ApplierError;
use crate::backoff_delay::Delays;
use crate::core::Limits;
use crate::pg_clock::PgOffset;
use crate::projections::{ProjectionError, Snapshot};

/// Requests read again at the same time.
const PAYLOAD_READS: usize = 16;

/// Reads the snapshot, begins to follow every partition and to take it over. `None`: shut down before that.
pub(crate) async fn start(outside: Outside, shutdown: &CancellationToken) -> Result<Option<Driver>, ApplierError> {
    let delays = Delays::new(&outside.config);
    let begun = begin(&outside, &delays);
    let (snapshot, offset) = tokio::select! {
        biased;
        begun = begun => begun,
        () = shutdown.cancelled() => return Ok(None),
    };
    let requests = tokio::select! {
        biased;
        requests = payloads(&outside, &delays, &snapshot) => requests?,
        () = shutdown.cancelled() => return Ok(None),
    };
    let tables = Tables::new(snapshot.tables.clone(), &outside.upstreams);
    // A call must fit in the lease, and some time for others must be left in it.
    let lease = outside.config.lease.max(tables.longest_call() * 2);
    let (sender, reads) = mpsc::channel(LOG_BATCHES);
    let limits = Limits { max_sends: outside.config.max_attempts.max(1) };
    let mut driver = Driver {
        delays,
        limits,
        tables: Arc::new(tables),
        offset,
        partitions: BTreeMap::new(),
        slots: BTreeMap::new(),
        strangers: Vec::new(),
        sources: BTreeMap::new(),
        timers: BTreeMap::new(),
        timers_set: 0,
        tasks: JoinSet::new(),
        readers: JoinSet::new(),
        reads,
        draining: None,
        outside,
    };
    let mut unreleased = by_partition(snapshot.unreleased);
    for number in 0..driver.outside.log.partitions() {
        let partition = Partition { stream: Stream::Mutations, number };
        let from = snapshot.partitions.get(&number).copied().unwrap_or((Position::START, None));
        let mine = unreleased.remove(&number).unwrap_or_default();
        let owner = OwnerId(Uuid::now_v7());
        let mut owned = Owned::new(partition, owner, lease, from, mine);
        owned.requests = requests
            .iter()
            .filter(|(id, _)| owned.fold.get(**id).is_some())
            .map(|(id, request)| (*id, Arc::clone(request)))
            .collect();
        driver.readers.spawn(follow(Arc::clone(&driver.outside.log), partition, from.0, sender.clone()));
        driver.partitions.insert(number, owned);
        driver.take(number, Duration::ZERO);
    }
    driver.sample_clock_later();
    tracing::info!(partitions = driver.partitions.len(), lease_ms = lease.as_millis() as u64, "taking partitions");
    Ok(Some(driver))
}

/// The snapshot and a first look at Postgres's clock, however long that takes.
async fn begin(outside: &Outside, delays: &Delays) -> (Snapshot, PgOffset) {
    let mut failures = 0;
    loop {
        match read(outside).await {
            Ok(begun) => return begun,
            Err(error) => {
                failures += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, failures, "no start yet, trying again");
                outside.clock.sleep_until(outside.clock.now() + delays.after(failures)).await;
            }
        }
    }
}

async fn read(outside: &Outside) -> Result<(Snapshot, PgOffset), ProjectionError> {
    let offset = sample(outside).await?;
    Ok((outside.projections.snapshot().await?, offset))
}

/// One measurement of Postgres's clock.
pub(super) async fn sample(outside: &Outside) -> Result<PgOffset, ProjectionError> {
    let asked = outside.clock.unix_us();
    let postgres = outside.projections.now_us().await?;
    Ok(PgOffset::measured(asked, postgres, outside.clock.unix_us(), outside.clock.now()))
}

fn by_partition(unreleased: Vec<(u16, MutationId, Lifecycle)>) -> HashMap<u16, Vec<(MutationId, Lifecycle)>> {
    let mut partitions: HashMap<u16, Vec<_>> = HashMap::new();
    for (number, mutation, life) in unreleased {
        partitions.entry(number).or_default().push((mutation, life));
    }
    partitions
}

/// The requests of the mutations in the snapshot, read again from where they stand.
async fn payloads(
    outside: &Outside,
    delays: &Delays,
    snapshot: &Snapshot,
) -> Result<HashMap<MutationId, Arc<MutationRequested>>, ApplierError> {
    let wanted = snapshot.unreleased.iter().filter(|(_, _, life)| life.phase != Phase::Voided);
    let reads = wanted.map(|(number, mutation, life)| {
        let partition = Partition { stream: Stream::Mutations, number: *number };
        payload(outside, delays, partition, *mutation, life.position)
    });
    // Collected first: a borrowing iterator kept across the await would make the whole applier's future not `Send`.
    let reads: Vec<_> = reads.collect();
    let reads: Vec<_> = futures::stream::iter(reads).buffer_unordered(PAYLOAD_READS).collect().await;
    reads.into_iter().map(|read| read.map(|request| (request.mutation, Arc::new(request)))).collect()
}

async fn payload(
    outside: &Outside,
    delays: &Delays,
    partition: Partition,
    mutation: MutationId,
    position: Position,
) -> Result<MutationRequested, ApplierError> {
    let mut failures = 0;
    loop {
        match outside.log.read(partition, position, 1).await {
            Ok(mut records) => {
                let record = records.pop().filter(|record| record.position == position);
                return match record.map(|record| record.event) {
                    Some(Ok(Event::MutationRequested(request))) if request.mutation == mutation => Ok(request),
                    _ => Err(ApplierError::RequestMissing { mutation, partition, position }),
                };
            }
            Err(mismatch @ upwrite_event_log::LogError::Mismatch(_)) => return Err(mismatch.into()),
            Err(error) => {
                failures += 1;
                tracing::warn!(%partition, %error, failures, "the log cannot be read, trying again");
                outside.clock.sleep_until(outside.clock.now() + delays.after(failures)).await;
            }
        }
    }
}

/// Hands on what a partition holds, in order; the last message is an error or the end.
async fn follow(log: Arc<dyn EventLog>, partition: Partition, from: Position, reads: mpsc::Sender<Read>) {
    let mut subscription = log.subscribe(partition, from);
    loop {
        let batch = subscription.next().await;
        let last = !matches!(batch, Some(Ok(_)));
        if reads.send((partition, batch)).await.is_err() || last {
            return;
        }
    }
}
