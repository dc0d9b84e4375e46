//! What the log says, folded in.

use std::sync::Arc;

use upwrite_event_log::{LogError, LogRecord};
use upwrite_events::{Event, Lifecycle, MutationId, MutationRequested, Transition};

use super::intake::{Intake, Takeover};
use super::partition::{OwnerState, Ownership};
use super::{Driver, JobId, Read, SlotState, Term};
use crate::ApplierError;

/// What a record asks for beyond the fold.
enum FollowUp {
    Requested(Arc<MutationRequested>, Box<Lifecycle>),
    RevocationRequested(MutationId),
    /// The own marker came by for the first time: these were found, as they stood before it.
    TakeOver {
        orderly: bool,
        unreleased: Vec<(MutationId, Lifecycle)>,
    },
    Ousted,
}

impl Driver {
    pub(super) fn ingest(&mut self, (term, batch): Read) -> Result<(), ApplierError> {
        // What an ended term still had on its way is of no concern any more.
        let Some(ownership) = self.terms.get_mut(&term).filter(|ownership| ownership.state != OwnerState::Ousted)
        else {
            return Ok(());
        };
        let records = match batch {
            Some(Err(LogError::Newer(reason))) => {
                let number = ownership.partition.number;
                self.halt(number, reason);
                return Ok(());
            }
            batch => batch.ok_or(ApplierError::LogEnded(ownership.partition))??,
        };
        let mut follow_ups = Vec::new();
        for record in records {
            follow_ups.extend(fold(ownership, record));
        }
        for follow_up in follow_ups {
            match follow_up {
                FollowUp::Requested(request, life) => self.take_in_new(term, request, *life),
                FollowUp::RevocationRequested(mutation) => self.revoke(JobId { term, mutation }),
                FollowUp::TakeOver { orderly, unreleased } => self.take_over(term, orderly, unreleased),
                FollowUp::Ousted => self.ousted(term),
            }
        }
        self.confirm(term);
        let ready = self.terms.get_mut(&term).map(Ownership::take_announced).unwrap_or_default();
        for (id, rows) in ready {
            self.announced(id, rows);
        }
        Ok(())
    }

    fn take_in_new(&mut self, term: Term, request: Arc<MutationRequested>, life: Lifecycle) {
        if !self.sends(term) {
            return;
        }
        let Some(ownership) = self.terms.get(&term) else { return };
        self.take_in(Intake { term, owner: ownership.owner, request, life, takeover: None });
    }

    fn revoke(&mut self, id: JobId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.job.revoke = true;
        if matches!(slot.state, SlotState::Queued | SlotState::WaitsForLease) {
            slot.generation += 1;
            slot.state = SlotState::Idle;
        }
        self.advance(id);
    }

    fn take_over(&mut self, term: Term, orderly: bool, unreleased: Vec<(MutationId, Lifecycle)>) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        let (partition, owner) = (ownership.partition, ownership.owner);
        // The owner before appended for the last time before this marker.
        let calls_until = self.environment.clock.now() + ownership.lease.length();
        let requests = std::mem::take(&mut ownership.requests);
        tracing::info!(%partition, %owner, orderly, unreleased = unreleased.len(), "partition taken");
        for (mutation, life) in unreleased {
            let Some(request) = requests.get(&mutation).cloned() else { continue };
            let takeover = Some(Takeover { orderly, calls_until });
            self.take_in(Intake { term, owner, request, life, takeover });
        }
    }
}

/// One record folded into its partition.
fn fold(ownership: &mut Ownership, record: LogRecord) -> Option<FollowUp> {
    ownership.read_to = record.position.next();
    let event = record.event.ok()?;
    if let Event::PartitionTaken(taken) = &event
        && taken.owner == ownership.owner
        && ownership.state == OwnerState::CatchingUp
    {
        let mut unreleased: Vec<_> = ownership.fold.iter().map(|(mutation, life)| (mutation, life.clone())).collect();
        unreleased.sort_by_key(|(_, life)| life.position);
        let orderly = ownership.fold.owner().is_none();
        ownership.state = OwnerState::Owner;
        let _ = ownership.fold.apply(record.position, &event);
        return Some(FollowUp::TakeOver { orderly, unreleased });
    }
    match ownership.fold.apply(record.position, &event) {
        Ok(Transition::Changed(mutation)) => changed(ownership, mutation, event),
        Ok(Transition::Owner)
            if ownership.state == OwnerState::Owner && ownership.fold.owner() != Some(ownership.owner) =>
        {
            // No owner after our own release: that was us.
            if ownership.releasing && ownership.fold.owner().is_none() {
                return None;
            }
            ownership.state = OwnerState::Ousted;
            Some(FollowUp::Ousted)
        }
        Ok(_) => None,
        Err(illegal) => {
            tracing::debug!(partition = %record.partition, position = %record.position, %illegal, "not folded");
            None
        }
    }
}

fn changed(ownership: &mut Ownership, mutation: MutationId, event: Event) -> Option<FollowUp> {
    let life = ownership.fold.get(mutation)?;
    if life.is_released() {
        ownership.fold.forget(mutation);
        ownership.requests.remove(&mutation);
        return None;
    }
    match event {
        Event::MutationRequested(request) => {
            let request = Arc::new(request);
            if ownership.state == OwnerState::CatchingUp {
                ownership.requests.insert(mutation, request);
                return None;
            }
            Some(FollowUp::Requested(request, Box::new(life.clone())))
        }
        Event::RevocationRequested(_) => Some(FollowUp::RevocationRequested(mutation)),
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
