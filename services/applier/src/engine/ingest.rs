//! What the log says, folded in.

use std::sync::Arc;

use upwrite_event_log::{LogError, LogRecord};
use upwrite_events::{Event, Lifecycle, MutationId, MutationRequested, Transition};

use super::intake::{Found, Intake};
use super::partition::{Owned, Stage};
use super::{At, Driver, JobId, Read, Tenure};
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
    pub(super) fn ingest(&mut self, (tenure, batch): Read) -> Result<(), ApplierError> {
        // What an ended tenure still had on its way concerns nobody.
        let Some(owned) = self.tenures.get_mut(&tenure).filter(|owned| owned.stage != Stage::Ousted) else {
            return Ok(());
        };
        let records = match batch {
            Some(Err(LogError::Newer(reason))) => {
                let number = owned.partition.number;
                self.halt(number, reason);
                return Ok(());
            }
            batch => batch.ok_or(ApplierError::LogEnded(owned.partition))??,
        };
        let mut news = Vec::new();
        for record in records {
            news.extend(fold(owned, record));
        }
        for news in news {
            match news {
                News::Requested(request, life) => self.take_in_new(tenure, request, *life),
                News::RevocationRequested(mutation) => self.revoke(JobId { tenure, mutation }),
                News::Taken { orderly, found } => self.take_over(tenure, orderly, found),
                News::Ousted => self.ousted(tenure),
            }
        }
        self.confirm(tenure);
        let ready = self.tenures.get_mut(&tenure).map(Owned::take_announced).unwrap_or_default();
        for (id, rows) in ready {
            self.announced(id, rows);
        }
        Ok(())
    }

    fn take_in_new(&mut self, tenure: Tenure, request: Arc<MutationRequested>, life: Lifecycle) {
        if !self.sends(tenure) {
            return;
        }
        let Some(owned) = self.tenures.get(&tenure) else { return };
        self.take_in(Intake { tenure, owner: owned.owner, request, life, found: None });
    }

    fn revoke(&mut self, id: JobId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.job.revoke = true;
        if matches!(slot.at, At::Queued | At::WaitsForLease) {
            slot.generation += 1;
            slot.at = At::Idle;
        }
        self.advance(id);
    }

    fn take_over(&mut self, tenure: Tenure, orderly: bool, found: Vec<(MutationId, Lifecycle)>) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        let (partition, owner) = (owned.partition, owned.owner);
        // Whoever was there before appended for the last time before this marker was.
        let calls_until = self.outside.clock.now() + owned.lease.length();
        let requests = std::mem::take(&mut owned.requests);
        tracing::info!(%partition, %owner, orderly, unreleased = found.len(), "partition taken");
        for (mutation, life) in found {
            let Some(request) = requests.get(&mutation).cloned() else { continue };
            let found = Some(Found { orderly, calls_until });
            self.take_in(Intake { tenure, owner, request, life, found });
        }
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
        Ok(Transition::Changed(mutation)) => changed(owned, mutation, event),
        Ok(Transition::Owner) if owned.stage == Stage::Owner && owned.fold.owner() != Some(owned.owner) => {
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
        // What we said ourselves, or what changes nothing of what is to be done.
        Event::MutationVoided(_)
        | Event::MutationRevoked(_)
        | Event::PartitionTaken(_)
        | Event::PartitionReleased(_)
        | Event::MutationAttempted(_)
        | Event::MutationApplied(_)
        | Event::MutationRejected(_)
        | Event::MutationDeferred(_)
        | Event::MutationInDoubt(_)
        | Event::MutationSettled(_)
        | Event::MutationDead(_)
        | Event::MutationRedriven(_)
        | Event::MutationOutlivedRollback(_)
        | Event::RecordsObserved(_) => None,
    }
}
