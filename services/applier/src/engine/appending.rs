//! Appends beside the driver, and what follows from their acknowledgement.

use std::sync::Arc;

use upwrite_events::Event;

use super::append::{Appended, Purpose, append};
use super::done::Done;
use super::partition::Stage;
use super::{At, Driver, JobId, Tenure};

impl Driver {
    /// Appends beside the driver. Whatever it is for, it renews the lease once it is read back.
    pub(super) fn append(&mut self, tenure: Tenure, events: Vec<Event>, purpose: Purpose) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        owned.appending += 1;
        let partition = owned.partition;
        let (log, clock) = (Arc::clone(&self.outside.log), Arc::clone(&self.outside.clock));
        let delays = self.delays.clone();
        self.tasks.spawn(async move {
            let result = append(log, clock, delays, partition, events).await;
            Done::Appended { tenure, purpose, result }
        });
    }

    pub(super) fn appended(&mut self, tenure: Tenure, purpose: Purpose, done: Appended) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        owned.appending -= 1;
        owned.acknowledged(done.position, done.sent);
        self.confirm(tenure);
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        match purpose {
            Purpose::Renewal => {}
            Purpose::Outcome(id) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.job.recorded();
                }
                self.leave(id, At::Busy);
            }
            Purpose::Deferred(id) => self.leave(id, At::Busy),
            // Nobody reads it back for us any more.
            Purpose::Attempted(id, _) if owned.stage != Stage::Owner => {
                self.slots.remove(&id);
            }
            Purpose::Attempted(id, rows) => {
                owned.announced.push((done.position, id, rows));
                for (id, rows) in owned.take_announced() {
                    self.announced(id, rows);
                }
            }
            Purpose::Settled(id) => {
                self.slots.remove(&id);
                tracing::debug!(mutation = %id.mutation, "settled");
            }
            Purpose::TurnedAway => {}
            Purpose::Released => owned.released = true,
        }
    }

    /// If the lease was renewed, those who waited for it go on.
    pub(super) fn confirm(&mut self, tenure: Tenure) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        if owned.confirm() {
            for id in std::mem::take(&mut owned.waiting) {
                self.leave(id, At::WaitsForLease);
            }
        }
    }

    /// Back to idle, and on.
    fn leave(&mut self, id: JobId, from: At) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.at == from) else { return };
        slot.at = At::Idle;
        if self.tenures.get(&id.tenure).is_some_and(|owned| owned.stage == Stage::Owner) {
            self.advance(id);
        } else {
            self.slots.remove(&id);
        }
    }
}
