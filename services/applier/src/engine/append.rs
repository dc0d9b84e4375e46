//! Appending, until it is done. Repeats are legal, so what may have been appended is appended again.

use std::sync::Arc;

use upwrite_event_log::{Clock, EventLog, LogError, Moment};
use upwrite_events::{Event, Partition, Position};

use super::JobId;
use crate::backoff_delay::Delays;

/// An acknowledged append: when it was sent (the lease counts from there) and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgement {
    pub(crate) sent: Moment,
    pub(crate) position: Position,
}

/// What an append was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Only the lease.
    Renewal,
    Outcome(JobId),
    Deferred(JobId),
    Attempted(JobId, Vec<u32>),
    Settled(JobId),
    TurnedAway,
    Released,
}

/// Returns an error only if the log is not the one it was, or an event cannot be made small enough.
pub(crate) async fn append(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    delays: Delays,
    partition: Partition,
    events: Vec<Event>,
) -> Result<Acknowledgement, LogError> {
    let mut groups = vec![events];
    let mut failures = 0;
    let mut done = Acknowledgement { sent: clock.now(), position: Position::START };
    while let Some(events) = groups.pop() {
        let sent = clock.now();
        match log.append(partition, events.clone()).await {
            Ok(positions) => {
                let position = positions.last().copied().unwrap_or(done.position);
                done = Acknowledgement { sent, position };
            }
            Err(LogError::TooLarge { bytes, limit }) => {
                groups.extend(smaller(events).ok_or(LogError::TooLarge { bytes, limit })?.into_iter().rev());
            }
            Err(mismatch @ LogError::Mismatch(_)) => return Err(mismatch),
            Err(error) => {
                failures += 1;
                tracing::warn!(%partition, %error, failures, "append failed, trying again");
                groups.push(events);
                clock.sleep_until(clock.now() + delays.after(failures)).await;
            }
        }
    }
    Ok(done)
}

/// The same facts in several appends, in order; or with less in them, once there is nothing to part: an image that
/// does not fit is read by id later.
fn smaller(mut events: Vec<Event>) -> Option<Vec<Vec<Event>>> {
    if events.len() > 1 {
        return Some(events.into_iter().map(|event| vec![event]).collect());
    }
    match events.pop()? {
        Event::MutationApplied(mut applied) if applied.rows.len() > 1 => {
            let mut rest = applied.clone();
            rest.rows = applied.rows.split_off(applied.rows.len() / 2);
            Some(vec![vec![Event::MutationApplied(applied)], vec![Event::MutationApplied(rest)]])
        }
        Event::MutationApplied(mut applied) => {
            let image = applied.rows.iter_mut().find_map(|row| row.image.take());
            image.map(|_| vec![vec![Event::MutationApplied(applied)]])
        }
        Event::MutationSettled(mut settled) => {
            let images = settled.rows.iter_mut().filter_map(|row| row.image.take()).count();
            (images > 0).then(|| vec![vec![Event::MutationSettled(settled)]])
        }
        _ => None,
    }
}
