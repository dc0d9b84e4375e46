//! What the log says, folded in.

use std::sync::Arc;

use upwrite_event_log::LogRecord;
use upwrite_events::{Event, Folded, Lifecycle, MutationId, MutationRequested};

use super::intake::{Found, Intake};
use super::partition::{Owned, Stage};
use super::{At, Driver, Read};
use crate::ApplierError;

/// What a record asks for beyond the fold.
enum News {
    Requested(Arc<MutationRequested>, Box<Lifecycle>),
    RevocationRequested(MutationId),
    /// The own marker came by for the first time: these were found, as they stood before it.
    Taken {
        orderly: bool,
        found: Vec<(MutationId, Lifecycle)>,
    },
    Ousted,
}

impl Driver {
    pub(super) fn ingest(&mut self, (partition, batch): Read) -> Result<(), ApplierError> {
        let records = batch.ok_or(ApplierError::LogEnded(partition))??;
        let number = partition.number;
        let mut news = Vec::new();
        if let Some(owned) = self.partitions.get_mut(&number) {
            for record in records {
                news.extend(fold(owned, record));
            }
        }
        for news in news {
            match news {
                News::Requested(request, life) => self.take_in_new(number, request, *life),
                News::RevocationRequested(mutation) => self.revoke(mutation),
                News::Taken { orderly, found } => self.take_over(number, orderly, found),
                News::Ousted => self.oust(number)?,
            }
        }
        self.confirm(number);
        let ready = self.partitions.get_mut(&number).map(Owned::take_announced).unwrap_or_default();
        for (mutation, rows) in ready {
            self.announced(mutation, rows);
        }
        Ok(())
    }

    fn take_in_new(&mut self, number: u16, request: Arc<MutationRequested>, life: Lifecycle) {
        let Some(owned) = self.partitions.get(&number).filter(|owned| owned.stage == Stage::Owner) else { return };
        if self.draining.is_none() {
            self.take_in(Intake { partition: owned.partition, owner: owned.owner, request, life, found: None });
        }
    }

    fn revoke(&mut self, mutation: MutationId) {
        let Some(slot) = self.slots.get_mut(&mutation) else { return };
        slot.job.revoke = true;
        if matches!(slot.at, At::Queued | At::WaitsForLease) {
            slot.generation += 1;
            slot.at = At::Idle;
        }
        self.advance(mutation);
    }

    fn take_over(&mut self, number: u16, orderly: bool, found: Vec<(MutationId, Lifecycle)>) {
        let Some(owned) = self.partitions.get_mut(&number) else { return };
        let (partition, owner) = (owned.partition, owned.owner);
        // Whoever was there before appended for the last time before this marker was.
        let calls_until = self.outside.clock.now() + owned.lease.length();
        let requests = std::mem::take(&mut owned.requests);
        tracing::info!(%partition, %owner, orderly, unreleased = found.len(), "partition taken");
        for (mutation, life) in found {
            let Some(request) = requests.get(&mutation).cloned() else { continue };
            let found = Some(Found { orderly, calls_until });
            self.take_in(Intake { partition, owner, request, life, found });
        }
    }

    /// Nothing is called any more for this partition; what is under way is appended as evidence.
    fn oust(&mut self, number: u16) -> Result<(), ApplierError> {
        let Some(owned) = self.partitions.get(&number) else { return Ok(()) };
        if owned.fold.owner().is_some_and(|owner| owned.abandoned.contains(&owner)) {
            // By a marker of our own that came late: nobody owns the partition. A new start does.
            tracing::error!(partition = %owned.partition, "a marker that was given up came behind the one that counts");
            return Err(ApplierError::MarkerOvertaken);
        }
        tracing::warn!(partition = %owned.partition, "another applier took the partition");
        let partition = owned.partition;
        self.slots.retain(|_, slot| slot.job.partition != partition || slot.at == At::Busy);
        if self.draining.is_none() && self.partitions.values().all(|owned| owned.stage == Stage::Ousted) {
            return Err(ApplierError::Ousted);
        }
        Ok(())
    }
}

/// One record folded into its partition.
fn fold(owned: &mut Owned, record: LogRecord) -> Option<News> {
    owned.read_to = record.position.next();
    let event = record.event.ok()?;
    if let Event::PartitionTaken(taken) = &event
        && taken.owner == owned.owner
        && owned.stage == Stage::CatchingUp
    {
        let mut found: Vec<_> = owned.fold.iter().map(|(mutation, life)| (mutation, life.clone())).collect();
        found.sort_by_key(|(_, life)| life.position);
        let orderly = owned.fold.owner().is_none();
        owned.stage = Stage::Owner;
        let _ = owned.fold.apply(record.position, &event);
        return Some(News::Taken { orderly, found });
    }
    match owned.fold.apply(record.position, &event) {
        Ok(Folded::Changed(mutation)) => changed(owned, mutation, event),
        Ok(Folded::Owner) if owned.stage == Stage::Owner && owned.fold.owner() != Some(owned.owner) => {
            // Nobody, after our own release: that was us.
            if owned.releasing && owned.fold.owner().is_none() {
                return None;
            }
            owned.stage = Stage::Ousted;
            Some(News::Ousted)
        }
        Ok(_) => None,
        Err(illegal) => {
            tracing::debug!(partition = %record.partition, position = %record.position, %illegal, "not folded");
            None
        }
    }
}

fn changed(owned: &mut Owned, mutation: MutationId, event: Event) -> Option<News> {
    let life = owned.fold.get(mutation)?;
    if life.is_released() {
        owned.fold.forget(mutation);
        owned.requests.remove(&mutation);
        return None;
    }
    match event {
        Event::MutationRequested(request) => {
            let request = Arc::new(request);
            if owned.stage == Stage::CatchingUp {
                owned.requests.insert(mutation, request);
                return None;
            }
            Some(News::Requested(request, Box::new(life.clone())))
        }
        Event::RevocationRequested(_) => Some(News::RevocationRequested(mutation)),
        _ => None,
    }
}
