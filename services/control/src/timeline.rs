//! One mutation's events, read from the log.

use std::time::Duration;

use upwrite_event_log::{EventLog, LogError, LogRecord};
use upwrite_events::{Event, MutationId, Partition, Position, Stream};

use crate::instant::{micros, timestamp};
use crate::v1::{Mutation, TimelineEvent};

/// Records that are looked at for one timeline.
const SCANNED_MAX: usize = 200_000;
const BATCH: usize = 1_000;
/// How long reading may take in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long after a mutation was released its events are still looked for: repeats and evidence may follow.
const AFTERMATH_US: i64 = 60_000_000;

/// The events, and why they are not all.
pub(crate) type Timeline = (Vec<TimelineEvent>, Option<String>);

/// Reads from the request's position on: to the end of the partition, or to a minute after nothing could come any more.
pub(crate) async fn read(log: &dyn EventLog, id: MutationId, mutation: &Mutation) -> Timeline {
    let Ok(number) = u16::try_from(mutation.partition) else {
        return (vec![], Some(format!("there is no partition {}", mutation.partition)));
    };
    let mut found = Vec::new();
    let scan = Scan { partition: Partition { stream: Stream::Mutations, number }, id, until_us: until(mutation) };
    let incomplete = match tokio::time::timeout(PATIENCE, scan.run(log, Position(mutation.position), &mut found)).await
    {
        Ok(Ok(incomplete)) => incomplete,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the event log did not answer within {} s", PATIENCE.as_secs())),
    };
    (found, incomplete)
}

/// When nothing worth telling can come any more; `None`: it still can.
fn until(mutation: &Mutation) -> Option<i64> {
    let released = mutation.settled_at.as_ref().or(mutation.finished_at.as_ref());
    released.filter(|_| mutation.released).map(|at| micros(at).saturating_add(AFTERMATH_US))
}

struct Scan {
    partition: Partition,
    id: MutationId,
    until_us: Option<i64>,
}

impl Scan {
    async fn run(
        &self,
        log: &dyn EventLog,
        from: Position,
        found: &mut Vec<TimelineEvent>,
    ) -> Result<Option<String>, LogError> {
        let mut incomplete = None;
        let start = log.start(self.partition).await?;
        if start > from {
            incomplete = Some(format!("the log of {} no longer holds what stood before {start}", self.partition));
        }
        let mut next = from.max(start);
        let mut scanned = 0;
        loop {
            let records = log.read(self.partition, next, BATCH).await?;
            let Some(last) = records.last() else { return Ok(incomplete) };
            next = last.position.next();
            scanned += records.len();
            for record in &records {
                if self.until_us.is_some_and(|until| record.appended_at_us > until) {
                    return Ok(incomplete);
                }
                found.extend(self.event(record));
            }
            if scanned >= SCANNED_MAX {
                return Ok(Some(format!(
                    "{SCANNED_MAX} events were looked at; what stands after {} was not",
                    last.position
                )));
            }
        }
    }

    fn event(&self, record: &LogRecord) -> Option<TimelineEvent> {
        let event = record.event.as_ref().ok().filter(|event| event.mutation() == Some(self.id))?;
        let (attempt, summary) = summary(event);
        Some(TimelineEvent {
            position: record.position.0,
            event: event.name().to_owned(),
            at: Some(timestamp(record.appended_at_us)),
            owner: event.owner().map(|owner| owner.to_string()),
            attempt,
            summary,
        })
    }
}

/// The attempt, and what the event says in a few words. No row values.
fn summary(event: &Event) -> (Option<u32>, String) {
    let kept = |keep| if keep { "; claims are kept" } else { "" };
    match event {
        Event::MutationRequested(event) => {
            let whose = format!("{} for {} in {}", rows(event.rows.len()), event.user, event.database);
            (None, if event.in_block { format!("{whose}, inside a transaction block") } else { whose })
        }
        Event::MutationVoided(event) => (None, event.reason.clone()),
        Event::RevocationRequested(event) => (None, event.reason.clone()),
        Event::MutationAttempted(event) => (Some(event.attempt), rows(event.rows.len())),
        Event::MutationApplied(event) => {
            (Some(event.attempt), format!("{}{}", rows(event.rows.len()), kept(event.keep_claims)))
        }
        Event::MutationRejected(event) => {
            let what =
                format!("{}: {}{}", rows(event.rows.len()), failure_text(&event.failure), kept(event.keep_claims));
            (Some(event.attempt), what)
        }
        Event::MutationDeferred(event) => {
            let when = timestamp(event.not_before_us);
            (Some(event.attempt), format!("not before {when}: {}", failure_text(&event.failure)))
        }
        Event::MutationInDoubt(event) => {
            (Some(event.attempt), format!("{}: {}", rows(event.rows.len()), failure_text(&event.failure)))
        }
        Event::MutationSettled(event) => {
            let (applied, not_applied) = (event.applied.len(), event.not_applied.len());
            let doubted = applied + not_applied > 0;
            (
                None,
                if doubted {
                    format!("{applied} applied, {not_applied} not applied")
                } else {
                    "claims released".into()
                },
            )
        }
        Event::MutationDead(event) => (None, failure_text(&event.failure)),
        Event::MutationRedriven(event) => (None, format!("as {} by {}", event.successor, event.operator)),
        Event::MutationOutlivedRollback(event) => (None, event.reason.clone()),
        Event::MutationRevoked(_)
        | Event::PartitionTaken(_)
        | Event::PartitionReleased(_)
        | Event::RecordsObserved(_) => (None, String::new()),
    }
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn failure_text(failure: &upwrite_events::Failure) -> String {
    format!("{} {}", failure.sqlstate, failure.message)
}

#[cfg(test)]
mod tests {
    use upwrite_events::{ErrorClass, Failure, MutationDeferred, MutationSettled, Outcome, OwnerId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_events_say() {
        let (mutation, owner) = (MutationId(Uuid::from_u128(1)), OwnerId(Uuid::from_u128(2)));
        let failure = Failure::new(ErrorClass::RateLimited, Outcome::NotApplied, "53400", "slow down");
        let deferred = MutationDeferred { mutation, owner, attempt: 3, not_before_us: 1_700_000_000_000_000, failure };
        assert_eq!(
            summary(&Event::MutationDeferred(deferred)),
            (Some(3), "not before 2023-11-14T22:13:20Z: 53400 slow down".to_owned())
        );
        let settled = |applied| MutationSettled { mutation, owner, applied, not_applied: vec![], rows: vec![] };
        assert_eq!(summary(&Event::MutationSettled(settled(vec![]))).1, "claims released");
        assert_eq!(summary(&Event::MutationSettled(settled(vec![0, 1]))).1, "2 applied, 0 not applied");
    }

    #[test]
    fn reading_ends_only_after_the_release() {
        let at = |us| Some(timestamp(us));
        let open = Mutation { finished_at: at(5), ..Default::default() };
        assert_eq!(until(&open), None);
        let released = Mutation { finished_at: at(5), settled_at: at(9), released: true, ..Default::default() };
        assert_eq!(until(&released), Some(9 + AFTERMATH_US));
    }
}
