//! An orderly end: nothing new, what is in flight within the grace period, then the partition is given back.

use upwrite_event_log::Moment;
use upwrite_events::{Event, PartitionReleased};

use super::append::Purpose;
use super::partition::OwnerState;
use super::{Driver, JobId, SlotState, Term};
use crate::core::{PriorSend, prior_send};

impl Driver {
    /// Shutdown was asked for: everything is given back.
    pub(super) fn shut_down(&mut self, now: Moment) {
        tracing::info!(unfinished = self.slots.len(), "draining");
        self.draining = Some(now);
        let numbers: Vec<u16> = self.assignments.keys().copied().collect();
        for number in numbers {
            self.recall(number);
        }
    }

    /// Nothing new is called in this term; it ends as soon as nothing is in flight.
    pub(super) fn drain(&mut self, term: Term) {
        let now = self.environment.clock.now();
        let Some(ownership) = self.terms.get_mut(&term).filter(|ownership| ownership.draining.is_none()) else {
            return;
        };
        tracing::info!(partition = %ownership.partition, "giving the partition back");
        ownership.draining = Some(now);
        for (_, slot) in self.slots.range_mut(JobId::all_of(term)) {
            if matches!(slot.state, SlotState::Queued | SlotState::WaitsForLease) {
                slot.generation += 1;
                slot.state = SlotState::Idle;
            }
        }
        self.forget_awaiting(term);
    }

    /// Of tables that are not known: the next owner finds them in the log, but not what predecessors may have done to
    /// them.
    fn forget_awaiting(&mut self, term: Term) {
        let (gone, rest) =
            std::mem::take(&mut self.awaiting_tables).into_iter().partition(|intake| intake.term == term);
        self.awaiting_tables = rest;
        let gone: Vec<super::intake::Intake> = gone;
        let doubtful = gone.iter().any(|intake| {
            intake
                .takeover
                .is_some_and(|takeover| prior_send(&intake.life, takeover.orderly, false) == PriorSend::PossiblySent)
        });
        if let Some(ownership) = self.terms.get_mut(&term) {
            ownership.doubtful |= doubtful;
        }
    }

    /// Gives back what can be given back.
    pub(super) fn end_terms(&mut self) {
        let now = self.environment.clock.now();
        let draining: Vec<(Term, Moment)> =
            self.terms.iter().filter_map(|(term, ownership)| Some((*term, ownership.draining?))).collect();
        for (term, since) in draining {
            if now >= since + self.environment.config.grace {
                tracing::warn!(term = term.0, "grace period is over");
                self.abandon(term);
            } else {
                self.give_back(term);
            }
        }
        self.retire();
    }

    /// Whether nothing is left to do after shutdown, or the time for it is over.
    pub(super) fn drained(&self) -> bool {
        let Some(since) = self.draining else { return false };
        let over = self.environment.clock.now() >= since + self.environment.config.grace;
        over || self.assignments.is_empty() && self.terms.is_empty()
    }

    fn give_back(&mut self, term: Term) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        if ownership.released {
            let number = ownership.partition.number;
            self.end(term);
            self.return_partition(number);
            return;
        }
        if ownership.state != OwnerState::Owner || ownership.releasing || ownership.appending > 0 {
            return;
        }
        let mut mine = self.slots.range(JobId::all_of(term)).map(|(_, slot)| slot);
        // Read-backs are nothing to wait for: they change nothing upstream.
        if mine.any(|slot| slot.state == SlotState::Busy && slot.job.is_open()) {
            return;
        }
        // What the log does not know yet about what was sent.
        let unrecorded: Vec<JobId> = self
            .slots
            .range(JobId::all_of(term))
            .filter(|(_, slot)| slot.job.is_unrecorded())
            .map(|(id, _)| *id)
            .collect();
        if unrecorded.is_empty() {
            if ownership.doubtful {
                self.abandon(term);
                return;
            }
            let release = Event::PartitionReleased(PartitionReleased { owner: ownership.owner });
            ownership.releasing = true;
            self.append(term, vec![release], Purpose::Released);
            return;
        }
        let now_us = self.environment.clock.unix_us();
        for id in unrecorded {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            slot.state = SlotState::Busy;
            let event = slot.job.deferred(now_us);
            self.append(term, vec![event], Purpose::Deferred(id));
        }
    }
}
