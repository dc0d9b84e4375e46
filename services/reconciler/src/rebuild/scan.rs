//! Reads a stretch of one partition in several ranges at a time: decoding is what takes longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use upwrite_event_log::{EventLog, LogError, LogRecord};
use upwrite_events::{Event, Partition, Position};

/// Ranges that are read at the same time; each is held in memory until those before it are used up.
const READERS: usize = 4;
/// Rows that a range should have. How many rows an event has is learned on the way.
const ROWS: i64 = 8_000;
const FIRST_RANGE: i64 = 8;
const LONGEST_RANGE: i64 = 4_096;
/// A log that is away is asked again so often, with so long a pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// A part of the stretch, with what `load` made of it.
pub(super) struct Part<T> {
    /// Positions that it covers.
    pub(super) positions: u64,
    pub(super) loaded: T,
}

/// `[from, to)` in order, each range handed to `load` in a task of its own.
pub(super) fn scan<T: Send + 'static>(
    log: Arc<dyn EventLog>,
    partition: Partition,
    from: Position,
    to: Position,
    load: impl Fn(Vec<LogRecord>) -> T + Send + Sync + 'static,
) -> impl Stream<Item = Result<Part<T>, LogError>> {
    let load = Arc::new(load);
    let step = Arc::new(AtomicI64::new(FIRST_RANGE));
    let steps = Arc::clone(&step);
    let ranges = stream::unfold(from.0, move |begin| {
        let end = to.0.min(begin.saturating_add(steps.load(Ordering::Relaxed)));
        async move { (begin < end).then_some(((begin, end), end)) }
    });
    let parts = ranges.map(move |(begin, end)| {
        let (log, load, step) = (Arc::clone(&log), Arc::clone(&load), Arc::clone(&step));
        let task = tokio::spawn(async move {
            let records = range(log.as_ref(), partition, Position(begin), Position(end)).await?;
            let rows: i64 = records.iter().map(rows).sum();
            let fitting = ROWS.saturating_mul(end - begin) / rows.max(1);
            step.store(fitting.clamp(1, LONGEST_RANGE), Ordering::Relaxed);
            Ok(Part { positions: u64::try_from(end - begin).unwrap_or_default(), loaded: load(records) })
        });
        async move { task.await.unwrap_or_else(|error| Err(LogError::Unavailable(error.to_string()))) }
    });
    parts.buffered(READERS)
}

fn rows(record: &LogRecord) -> i64 {
    let rows = match &record.event {
        Ok(Event::RecordsObserved(observed)) => observed.rows.len(),
        Ok(Event::MutationRequested(request)) => request.rows.len(),
        Ok(Event::MutationApplied(applied)) => applied.rows.len(),
        _ => 1,
    };
    i64::try_from(rows.max(1)).unwrap_or(i64::MAX)
}

/// All records of `[from, to)`. On Kafka, positions may be empty.
async fn range(
    log: &dyn EventLog,
    partition: Partition,
    mut from: Position,
    to: Position,
) -> Result<Vec<LogRecord>, LogError> {
    let mut records = Vec::new();
    while from < to {
        let limit = usize::try_from(to.0 - from.0).unwrap_or(usize::MAX);
        let read = patiently(log, partition, from, limit).await?;
        let Some(last) = read.last() else { break };
        from = last.position.next();
        records.extend(read.into_iter().filter(|record| record.position < to));
    }
    Ok(records)
}

async fn patiently(
    log: &dyn EventLog,
    partition: Partition,
    from: Position,
    limit: usize,
) -> Result<Vec<LogRecord>, LogError> {
    let mut tries = 0;
    loop {
        match log.read(partition, from, limit).await {
            Err(LogError::Unavailable(reason)) if tries < TRIES => {
                tries += 1;
                tracing::debug!(%partition, reason, tries, "the log cannot be read, trying again");
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}
