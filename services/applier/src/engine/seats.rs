//! Partitions come and go: what the membership gives, and what becomes of it.
//!
//! A seat is a partition that the membership has given us. In it one tenure follows another: each starts from a snapshot
//! of its own and ends when it was given back, when somebody else took the partition, or when it was lost.

use std::time::Duration;

use tokio::task::AbortHandle;
use upwrite_event_log::{LogError, MembershipEvent, Moment};

use super::done::Done;
use super::partition::Stage;
use super::start::{self, Start};
use super::{At, Driver, JobId, Tenure, Timer};
use crate::ApplierError;

/// How often a partition that stands still is complained about.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Before a partition that somebody else has taken is taken again: if it is not ours any more, the membership has told
/// so by then. Doubles each time, so that two who both believe to have it do not take it in turns.
const TAKE_AGAIN_AFTER: Duration = Duration::from_secs(1);
const TAKE_AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);

/// A partition that the membership has given us.
pub(super) struct Seat {
    /// The tenure at work, or about to be.
    pub(super) tenure: Tenure,
    /// What it starts from is being read.
    start: Option<AbortHandle>,
    begun: Moment,
    /// How often in a row somebody else took the partition soon.
    ousted: u32,
    /// Why nobody of this version can follow the partition.
    pub(super) halted: Option<String>,
}

impl Driver {
    pub(super) fn changed(&mut self, change: MembershipEvent) {
        match change {
            // It is free again as soon as we have ended.
            MembershipEvent::Assigned(_) if self.draining.is_some() => {}
            MembershipEvent::Assigned(number) if self.seats.contains_key(&number) => {}
            MembershipEvent::Assigned(number) => self.begin(number, 0, Duration::ZERO),
            MembershipEvent::Recalled(number) => self.recall(number),
            MembershipEvent::Lost(number) => self.lose(number),
        }
    }

    /// A new tenure, after `delay`: reads beside the driver what it starts from.
    fn begin(&mut self, number: u16, ousted: u32, delay: Duration) {
        self.tenures_begun += 1;
        let tenure = Tenure(self.tenures_begun);
        let (outside, delays) = (self.outside.clone(), self.delays.clone());
        let start = self.tasks.spawn(async move {
            outside.clock.sleep_until(outside.clock.now() + delay).await;
            let result = start::read(&outside, &delays, number).await;
            Done::Started { tenure, result: Box::new(result) }
        });
        let begun = self.outside.clock.now() + delay;
        self.seats.insert(number, Seat { tenure, start: Some(start), begun, ousted, halted: None });
    }

    pub(super) fn started(&mut self, tenure: Tenure, result: Result<Start, ApplierError>) -> Result<(), ApplierError> {
        let Some((number, seat)) = self.seats.iter_mut().find(|(_, seat)| seat.tenure == tenure) else {
            return Ok(());
        };
        let number = *number;
        seat.start = None;
        match result {
            Ok(start) => self.follow(tenure, number, start),
            Err(ApplierError::Log(LogError::Newer(reason))) => self.halt(number, reason),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// In good order: what is in flight may end.
    pub(super) fn recall(&mut self, number: u16) {
        let Some(seat) = self.seats.get(&number) else { return };
        let tenure = seat.tenure;
        if self.tenures.get(&tenure).is_some_and(|owned| owned.stage != Stage::Ousted) {
            self.drain(tenure);
        } else {
            self.vacate(number);
        }
    }

    /// Somebody else may have it already.
    fn lose(&mut self, number: u16) {
        let Some(seat) = self.seats.remove(&number) else { return };
        tracing::warn!(partition = number, "the partition is somebody else's now");
        metrics::counter!("upwrite_applier_leases_lost_total", "reason" => "lost").increment(1);
        if let Some(start) = seat.start {
            start.abort();
        }
        self.drop_jobs(seat.tenure);
    }

    /// A marker that is not the tenure's own came behind it.
    pub(super) fn ousted(&mut self, tenure: Tenure) {
        let Some(owned) = self.tenures.get(&tenure) else { return };
        let (partition, draining) = (owned.partition, owned.draining.is_some());
        // By a marker of our own that was given up and came late: nobody owns the partition.
        let own = owned.fold.owner().is_some_and(|owner| owned.abandoned.contains(&owner));
        tracing::warn!(%partition, own, "another marker took the partition");
        metrics::counter!("upwrite_applier_leases_lost_total", "reason" => "ousted").increment(1);
        self.drop_jobs(tenure);
        let now = self.outside.clock.now();
        let Some(seat) = self.seats.get(&partition.number).filter(|seat| seat.tenure == tenure) else { return };
        if draining {
            self.vacate(partition.number);
        } else if own {
            self.begin(partition.number, seat.ousted, Duration::ZERO);
        } else {
            let soon = now.since(seat.begun) < TAKE_AGAIN_AFTER_MAX;
            let ousted = if soon { seat.ousted + 1 } else { 1 };
            let delay = TAKE_AGAIN_AFTER.saturating_mul(1 << (ousted - 1).min(16)).min(TAKE_AGAIN_AFTER_MAX);
            self.begin(partition.number, ousted, delay);
        }
    }

    /// The partition holds what only a newer version can read. It stands still; others go on.
    pub(super) fn halt(&mut self, number: u16, reason: String) {
        let Some(seat) = self.seats.get_mut(&number) else { return };
        let tenure = seat.tenure;
        seat.halted = Some(reason);
        let draining = self.tenures.get(&tenure).is_some_and(|owned| owned.draining.is_some());
        self.drop_jobs(tenure);
        self.complain(number);
        if draining {
            self.vacate(number);
        }
    }

    /// Says so, now and from time to time.
    pub(super) fn complain(&mut self, number: u16) {
        let Some(reason) = self.seats.get(&number).and_then(|seat| seat.halted.as_ref()) else { return };
        tracing::error!(partition = number, reason, "the partition stands still: install the newer version");
        let next = self.outside.clock.now() + COMPLAIN_EVERY;
        self.timers.retain(|_, timer| *timer != Timer::Halted(number));
        self.set_timer(next, Timer::Halted(number));
    }

    /// Ends a tenure that is to be given back, in no good order, and gives the partition back.
    pub(super) fn abandon(&mut self, tenure: Tenure) {
        let Some(number) = self.tenures.get(&tenure).map(|owned| owned.partition.number) else { return };
        self.drop_jobs(tenure);
        if self.seats.get(&number).is_some_and(|seat| seat.tenure == tenure) {
            self.vacate(number);
        }
    }

    /// The seat is empty: somebody else may have the partition.
    pub(super) fn vacate(&mut self, number: u16) {
        if let Some(seat) = self.seats.remove(&number) {
            if let Some(start) = seat.start {
                start.abort();
            }
            self.returned.push(number);
        }
    }

    /// Nothing is called any more in this tenure; what is under way is appended as evidence.
    fn drop_jobs(&mut self, tenure: Tenure) {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return };
        owned.stage = Stage::Ousted;
        owned.draining = None;
        owned.stop_reading();
        // Announced, not called yet, and never to be.
        let announced: Vec<JobId> = std::mem::take(&mut owned.announced).into_iter().map(|(_, id, _)| id).collect();
        self.strangers.retain(|intake| intake.tenure != tenure);
        self.remove_slots(tenure, |id, slot| slot.at != At::Busy || announced.contains(&id));
    }

    /// The end of a tenure.
    pub(super) fn end(&mut self, tenure: Tenure) {
        self.remove_slots(tenure, |_, _| true);
        self.timers.retain(|_, timer| !matches!(timer, Timer::Job(id) if id.tenure == tenure));
        self.tenures.remove(&tenure);
    }

    /// Ends the tenures that have nothing more to say.
    pub(super) fn retire(&mut self) {
        let over = |(tenure, owned): (&Tenure, &super::partition::Owned)| {
            let over = owned.stage == Stage::Ousted
                && owned.appending == 0
                && self.slots.range(JobId::all_of(*tenure)).next().is_none();
            over.then_some(*tenure)
        };
        let over: Vec<Tenure> = self.tenures.iter().filter_map(over).collect();
        over.into_iter().for_each(|tenure| self.end(tenure));
    }

    fn remove_slots(&mut self, tenure: Tenure, goes: impl Fn(JobId, &super::Slot) -> bool) {
        let gone: Vec<JobId> =
            self.slots.range(JobId::all_of(tenure)).filter(|(id, slot)| goes(**id, slot)).map(|(id, _)| *id).collect();
        for id in gone {
            self.slots.remove(&id);
        }
    }

    /// Whether calls may be begun in this tenure, its lease permitting.
    pub(super) fn sends(&self, tenure: Tenure) -> bool {
        self.tenures.get(&tenure).is_some_and(|owned| owned.stage == Stage::Owner && owned.draining.is_none())
    }
}
