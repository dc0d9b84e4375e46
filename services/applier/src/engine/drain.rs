//! An orderly end: nothing new, what is in flight within the grace period, then the partition is given back.

use upwrite_event_log::Moment;
use upwrite_events::{Event, PartitionReleased};

use super::append::Purpose;
use super::partition::Stage;
use super::{At, Driver, JobId, Tenure};
use crate::core::taken;

impl Driver {
    /// Shutdown was asked for: everything is given back.
    pub(super) fn shut_down(&mut self, now: Moment) {
        tracing::info!(unfinished = self.slots.len(), "draining");
        self.draining = Some(now);
        let numbers: Vec<u16> = self.seats.keys().copied().collect();
        for number in numbers {
            self.recall(number);
        }
    }

    /// Nothing new is called in this tenure; it ends as soon as nothing is in flight.
    pub(super) fn drain(&mut self, tenure: Tenure) {
        let now = self.outside.clock.now();
        let Some(owned) = self.tenures.get_mut(&tenure).filter(|owned| owned.draining.is_none()) else { return };
        tracing::info!(partition = %owned.partition, "giving the partition back");
        owned.draining = Some(now);
        for (_, slot) in self.slots.range_mut(JobId::all_of(tenure)) {
            if matches!(slot.at, At::Queued | At::WaitsForLease) {
                slot.generation += 1;
                slot.at = At::Idle;
            }
        }
        self.forget_strangers(tenure);
    }

    /// Of tables that are not known: whoever comes next finds them in the log, but what predecessors may have done to
    /// them is not told there.
    fn forget_strangers(&mut self, tenure: Tenure) {
        let (gone, rest) = std::mem::take(&mut self.strangers).into_iter().partition(|intake| intake.tenure == tenure);
        self.strangers = rest;
        let gone: Vec<super::intake::Intake> = gone;
        let doubtful = gone.iter().any(|intake| {
            intake
                .found
                .is_some_and(|found| taken(&intake.life, found.orderly, false) == crate::core::Taken::PossiblySent)
        });
        if let Some(owned) = self.tenures.get_mut(&tenure) {
            owned.doubtful |= doubtful;
        }
    }

    /// Gives back what can be given back.
    pub(super) fn end_tenures(&mut self) {
        let now = self.outside.clock.now();
        let draining: Vec<(Tenure, Moment)> =
            self.tenures.iter().filter_map(|(tenure, owned)| Some((*tenure, owned.draining?))).collect();
        for (tenure, since) in draining {
            if now >= since + self.outside.config.grace {
                tracing::warn!(tenure = tenure.0, "grace period is over");
                self.abandon(tenure);
            } else {
                self.give_back(tenure);
            }
        }
        self.retire();
    }

    /// Whether nothing is left to do after shutdown, or the time for it is over.
    pub(super) fn drained(&self) -> bool {
        let Some(since) = self.draining else { return false };
        let over = self.outside.clock.now() >= since + self.outside.config.grace;
        over || self.seats.is_empty() && self.tenures.is_empty()
    }

    fn give_back(&mut self, tenure: Tenure) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        if owned.released {
            let number = owned.partition.number;
            self.end(tenure);
            self.vacate(number);
            return;
        }
        if owned.stage != Stage::Owner || owned.releasing || owned.appending > 0 {
            return;
        }
        let mut mine = self.slots.range(JobId::all_of(tenure)).map(|(_, slot)| slot);
        // Read-backs are nothing to wait for: they change nothing upstream.
        if mine.any(|slot| slot.at == At::Busy && slot.job.is_open()) {
            return;
        }
        // What the log does not know yet about what was sent.
        let news: Vec<JobId> = self
            .slots
            .range(JobId::all_of(tenure))
            .filter(|(_, slot)| slot.job.has_news())
            .map(|(id, _)| *id)
            .collect();
        if news.is_empty() {
            if owned.doubtful {
                self.abandon(tenure);
                return;
            }
            let release = Event::PartitionReleased(PartitionReleased { owner: owned.owner });
            owned.releasing = true;
            self.append(tenure, vec![release], Purpose::Released);
            return;
        }
        let now_us = self.outside.clock.unix_us();
        for id in news {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            slot.at = At::Busy;
            let event = slot.job.deferred(now_us);
            self.append(tenure, vec![event], Purpose::Deferred(id));
        }
    }
}
