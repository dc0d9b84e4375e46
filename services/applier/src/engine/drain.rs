//! An orderly end: nothing new, what is in flight within the grace period, then the partitions are given back.

use upwrite_events::{Event, MutationId, PartitionReleased};

use super::done::Purpose;
use super::partition::Stage;
use super::{At, Driver};
use crate::Moment;

impl Driver {
    /// Shutdown was asked for.
    pub(super) fn drain(&mut self, now: Moment) {
        tracing::info!(unfinished = self.slots.len(), "draining");
        self.draining = Some(now);
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.at, At::Queued | At::WaitsForLease)) {
            slot.generation += 1;
            slot.at = At::Idle;
        }
        self.strangers.clear();
        self.timers.clear();
    }

    /// Gives back what can be given back; `true`: nothing is left to do, or the grace period is over.
    pub(super) fn drained(&mut self) -> bool {
        let Some(since) = self.draining else { return false };
        let numbers: Vec<u16> = self.partitions.keys().copied().collect();
        for number in numbers {
            self.give_back(number);
        }
        let over = self.outside.clock.now() >= since + self.outside.config.grace;
        if over {
            tracing::warn!(in_flight = self.tasks.len(), "grace period is over");
        }
        over || self.partitions.values().all(|owned| owned.released || owned.stage != Stage::Owner)
    }

    fn give_back(&mut self, number: u16) {
        let Some(owned) = self.partitions.get_mut(&number) else { return };
        if owned.stage != Stage::Owner || owned.releasing || owned.appending > 0 {
            return;
        }
        let partition = owned.partition;
        let mine = |slot: &&super::Slot| slot.job.partition == partition;
        // Read-backs are nothing to wait for: they change nothing upstream.
        let busy = self.slots.values().filter(mine).any(|slot| slot.at == At::Busy && slot.job.is_open());
        if busy {
            return;
        }
        // What the log does not know yet about what was sent.
        let news: Vec<MutationId> =
            self.slots.values().filter(mine).filter(|slot| slot.job.has_news()).map(|slot| slot.job.mutation).collect();
        if news.is_empty() {
            let release = Event::PartitionReleased(PartitionReleased { owner: owned.owner });
            owned.releasing = true;
            self.append(number, vec![release], Purpose::Released);
            return;
        }
        let now_us = self.outside.clock.unix_us();
        for mutation in news {
            let Some(slot) = self.slots.get_mut(&mutation) else { continue };
            slot.at = At::Busy;
            let event = slot.job.deferred(now_us);
            self.append(number, vec![event], Purpose::Deferred(mutation));
        }
    }
}
