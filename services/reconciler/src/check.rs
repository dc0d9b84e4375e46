//! Whether the log is still the one that the positions speak of (hazard B11): a log that was set back, refilled, or has
//! lost what was not yet folded must not be read on.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use upwrite_event_log::{EventLog, LogError};
use upwrite_events::{Partition, Position};

/// Partitions asked after at the same time.
const AT_ONCE: usize = 16;
/// A broker that has just become a partition's leader may for a moment not know how far it goes.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// `stamps`: when the last folded record of each partition was appended.
pub(crate) async fn check(
    log: &dyn EventLog,
    positions: &HashMap<Partition, Position>,
    stamps: &HashMap<Partition, i64>,
) -> Result<(), LogError> {
    let checks = positions.iter().map(|(partition, position)| one(log, *partition, *position, stamps.get(partition)));
    // Collected first: a borrowing iterator kept across the await would make the whole future not `Send`.
    let checks: Vec<_> = checks.collect();
    stream::iter(checks).buffer_unordered(AT_ONCE).try_collect().await
}

async fn one(
    log: &dyn EventLog,
    partition: Partition,
    position: Position,
    stamp_us: Option<&i64>,
) -> Result<(), LogError> {
    let mut end = log.end(partition).await?;
    for _ in 1..LOOKS {
        if end >= position {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        end = log.end(partition).await?;
    }
    if end < position {
        return Err(mismatch(partition, position, end, "it was set back, or is another log"));
    }
    let start = log.start(partition).await?;
    if start > position {
        let why = format!("it begins at {start} now: what was not yet folded is gone");
        return Err(mismatch(partition, position, end, &why));
    }
    let last = Position(position.0 - 1);
    let Some(stamp_us) = stamp_us.filter(|_| start <= last) else { return Ok(()) };
    let records = match log.read(partition, last, 1).await {
        // Then its subscription says so, and that partition stands still.
        Err(LogError::Newer(_)) => return Ok(()),
        read => read?,
    };
    match records.first().filter(|record| record.position == last) {
        Some(record) if record.appended_at_us != *stamp_us => {
            let why = format!("at {last} there is another record than the one that was folded");
            Err(mismatch(partition, position, end, &why))
        }
        _ => Ok(()),
    }
}

fn mismatch(partition: Partition, position: Position, end: Position, why: &str) -> LogError {
    LogError::Mismatch(format!(
        "partition {partition} is folded up to position {position} and ends at {end}; {why}. Nothing was changed. \
         Once the log is what it should be, run `upwrite ctl recover`"
    ))
}
