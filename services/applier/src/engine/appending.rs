//! Appends beside the driver, and what follows from their acknowledgement.

use std::sync::Arc;

use upwrite_events::Event;

use super::append::{Acknowledgement, Purpose, append};
use super::completion::Completion;
use super::partition::OwnerState;
use super::{Driver, JobId, SlotState, Term};

impl Driver {
    /// Appends beside the driver. Whatever it is for, it renews the lease once it is read back.
    pub(super) fn append(&mut self, term: Term, events: Vec<Event>, purpose: Purpose) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        ownership.appending += 1;
        let partition = ownership.partition;
        let (log, clock) = (Arc::clone(&self.environment.log), Arc::clone(&self.environment.clock));
        let delays = self.delays.clone();
        self.tasks.spawn(async move {
            let result = append(log, clock, delays, partition, events).await;
            Completion::Appended { term, purpose, result }
        });
    }

    pub(super) fn appended(&mut self, term: Term, purpose: Purpose, done: Acknowledgement) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        ownership.appending -= 1;
        ownership.acknowledged(done.position, done.sent);
        self.confirm(term);
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        match purpose {
            Purpose::Renewal => {}
            Purpose::Outcome(id) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.job.recorded();
                }
                self.leave(id, SlotState::Busy);
            }
            Purpose::Deferred(id) => self.leave(id, SlotState::Busy),
            // It is not read back for us any more.
            Purpose::Attempted(id, _) if ownership.state != OwnerState::Owner => {
                self.slots.remove(&id);
            }
            Purpose::Attempted(id, rows) => {
                ownership.announced.push((done.position, id, rows));
                for (id, rows) in ownership.take_announced() {
                    self.announced(id, rows);
                }
            }
            Purpose::Settled(id) => {
                self.slots.remove(&id);
                tracing::debug!(mutation = %id.mutation, "settled");
            }
            Purpose::TurnedAway => {}
            Purpose::Released => ownership.released = true,
        }
    }

    /// If the lease was renewed, those who waited for it go on.
    pub(super) fn confirm(&mut self, term: Term) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        if ownership.confirm() {
            for id in std::mem::take(&mut ownership.waiting) {
                self.leave(id, SlotState::WaitsForLease);
            }
        }
    }

    /// Back to idle, and on.
    fn leave(&mut self, id: JobId, from: SlotState) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.state == from) else { return };
        slot.state = SlotState::Idle;
        if self.terms.get(&id.term).is_some_and(|ownership| ownership.state == OwnerState::Owner) {
            self.advance(id);
        } else {
            self.slots.remove(&id);
        }
    }
}
