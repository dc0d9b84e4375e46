//! Marks in doubt what may have been sent and of which the log no longer says what became.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgConnection;
use upwrite_event_log::EventLog;
use upwrite_events::{
    ErrorClass, Event, Failure, MutationId, MutationInDoubt, Outcome, OwnerId, Partition, PartitionTaken, Position,
    Stream,
};
use uuid::Uuid;

use super::error::RebuildError;
use super::mutations::{MutationFeed, unreleased};
use super::positions::Positions;
use crate::state::Tracked;

/// Events in one append.
const BATCH: usize = 100;

/// Takes every partition, so that no other owner's outcomes count any more. The markers are not followed by a
/// `PartitionReleased`: the next applier must allow for calls that an earlier one may still have under way.
pub(super) async fn take(log: &Arc<dyn EventLog>) -> Result<(BTreeMap<u16, OwnerId>, Positions), RebuildError> {
    let (mut owners, mut behind) = (BTreeMap::new(), Positions::new());
    for number in 0..log.partitions() {
        let partition = Partition { stream: Stream::Mutations, number };
        let owner = OwnerId(Uuid::now_v7());
        let process = format!("recover/{}", std::process::id());
        let taken = Event::PartitionTaken(PartitionTaken { owner, process, lease_ms: 0 });
        let at = log.append(partition, vec![taken]).await?;
        owners.insert(number, owner);
        behind.insert(partition, at.last().map_or(Position::START, |at| at.next()));
    }
    Ok((owners, behind))
}

/// Appends `MutationInDoubt` for everything unfinished, and folds it. Returns how many.
pub(super) async fn mark(
    connection: &mut PgConnection,
    log: &Arc<dyn EventLog>,
    feed: &mut MutationFeed,
    owners: &BTreeMap<u16, OwnerId>,
) -> Result<u64, RebuildError> {
    let mut events: BTreeMap<u16, Vec<Event>> = BTreeMap::new();
    for (number, mutation, tracked) in unreleased(feed) {
        let Some(owner) = owners.get(&number) else { continue };
        if let Some(event) = in_doubt(mutation, *owner, tracked) {
            events.entry(number).or_default().push(event);
        }
    }
    let mut ends = Positions::new();
    let mut marked = 0;
    for (number, events) in events {
        let partition = Partition { stream: Stream::Mutations, number };
        for batch in events.chunks(BATCH) {
            let at = log.append(partition, batch.to_vec()).await?;
            marked += u64::try_from(batch.len()).unwrap_or_default();
            if let Some(last) = at.last() {
                ends.insert(partition, last.next());
            }
        }
    }
    feed.advance(connection, &ends).await?;
    Ok(marked)
}

fn in_doubt(mutation: MutationId, owner: OwnerId, tracked: &Tracked) -> Option<Event> {
    let life = tracked.status.lifecycle.as_ref().filter(|life| !life.phase.is_finished())?;
    let message = "whether the change was applied is not known: the deployment was restored to an earlier state";
    let failure = Failure {
        hint: Some(format!("Read the record. SELECT * FROM upwrite.await('{mutation}') tells when it is settled.")),
        ..Failure::new(ErrorClass::Unavailable, Outcome::Unknown, "40003", message)
    };
    let rows = life.pending().collect();
    Some(Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt: life.attempts, rows, failure }))
}
