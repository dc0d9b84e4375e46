//! What the log knows of each partition.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use upwrite_event_log::{EventLog, LogError};
use upwrite_events::{Position, Stream};

use crate::instant::timestamp;
use crate::v1::Partition;

/// How long the log may take for one partition.
const PATIENCE: Duration = Duration::from_secs(3);
/// Partitions that are asked about at the same time.
const AT_ONCE: usize = 16;

/// Fills in `start`, `end`, `lag`, `lag_since`; or `error`.
pub(super) async fn fill(log: &dyn EventLog, partitions: &mut [Partition]) {
    stream::iter(partitions)
        .for_each_concurrent(AT_ONCE, |partition| async move {
            match tokio::time::timeout(PATIENCE, ask(log, partition)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => partition.error = Some(error.to_string()),
                Err(_) => partition.error = Some(format!("no answer within {} s", PATIENCE.as_secs())),
            }
        })
        .await;
}

async fn ask(log: &dyn EventLog, partition: &mut Partition) -> Result<(), LogError> {
    let stream = if partition.stream == Stream::Mutations.as_str() { Stream::Mutations } else { Stream::Observations };
    let Ok(number) = u16::try_from(partition.number) else { return Ok(()) };
    let of = upwrite_events::Partition { stream, number };
    let end = log.end(of).await?;
    partition.start = Some(log.start(of).await?.0);
    partition.end = Some(end.0);
    let lag = end.0.saturating_sub(partition.position);
    partition.lag = Some(lag);
    if lag > 0 {
        let first = log.read(of, Position(partition.position), 1).await?;
        partition.lag_since = first.first().map(|record| timestamp(record.appended_at_us));
    }
    Ok(())
}
