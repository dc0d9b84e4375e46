//! Partitions come and go: what the membership gives, and what becomes of it.
//!
//! A assignment is a partition that the membership has given us. In it one term follows another: each starts from a snapshot
//! of its own and ends when the partition was given back, taken by another process, or lost.

use std::time::Duration;

use tokio::task::AbortHandle;
use upwrite_event_log::{LogError, MembershipEvent, Moment};

use super::completion::Completion;
use super::partition::OwnerState;
use super::start::{self, Start};
use super::{Driver, JobId, SlotState, Term, Timer};
use crate::ApplierError;

/// How often a partition that stands still is complained about.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// Before a partition that another process has taken is taken again: if it is not ours any more, the membership has said
/// so by then. Doubles each time, so that two who both believe to have it do not take it in turns.
const TAKE_AGAIN_AFTER: Duration = Duration::from_secs(1);
const TAKE_AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);

/// A partition that the membership has given us.
pub(super) struct Assignment {
    /// The term at work, or about to be.
    pub(super) term: Term,
    /// What it starts from is being read.
    start: Option<AbortHandle>,
    begun: Moment,
    /// How often in a row another process took the partition soon.
    ousted: u32,
    /// Why no process of this version can follow the partition.
    pub(super) halted: Option<String>,
}

impl Driver {
    pub(super) fn changed(&mut self, event: MembershipEvent) {
        match event {
            // It is free again as soon as we have ended.
            MembershipEvent::Assigned(_) if self.draining.is_some() => {}
            MembershipEvent::Assigned(number) if self.assignments.contains_key(&number) => {}
            MembershipEvent::Assigned(number) => self.begin(number, 0, Duration::ZERO),
            MembershipEvent::Recalled(number) => self.recall(number),
            MembershipEvent::Lost(number) => self.lose(number),
        }
    }

    /// A new term, after `delay`: reads beside the driver what it starts from.
    fn begin(&mut self, number: u16, ousted: u32, delay: Duration) {
        self.terms_begun += 1;
        let term = Term(self.terms_begun);
        let (environment, delays) = (self.environment.clone(), self.delays.clone());
        let start = self.tasks.spawn(async move {
            environment.clock.sleep_until(environment.clock.now() + delay).await;
            let result = start::read(&environment, &delays, number).await;
            Completion::Started { term, result: Box::new(result) }
        });
        let begun = self.environment.clock.now() + delay;
        self.assignments.insert(number, Assignment { term, start: Some(start), begun, ousted, halted: None });
    }

    pub(super) fn started(&mut self, term: Term, result: Result<Start, ApplierError>) -> Result<(), ApplierError> {
        let Some((number, assignment)) = self.assignments.iter_mut().find(|(_, assignment)| assignment.term == term)
        else {
            return Ok(());
        };
        let number = *number;
        assignment.start = None;
        match result {
            Ok(start) => self.follow(term, number, start),
            Err(ApplierError::Log(LogError::Newer(reason))) => self.halt(number, reason),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// In good order: what is in flight may end.
    pub(super) fn recall(&mut self, number: u16) {
        let Some(assignment) = self.assignments.get(&number) else { return };
        let term = assignment.term;
        if self.terms.get(&term).is_some_and(|ownership| ownership.state != OwnerState::Ousted) {
            self.drain(term);
        } else {
            self.return_partition(number);
        }
    }

    /// Another process may have it already.
    fn lose(&mut self, number: u16) {
        let Some(assignment) = self.assignments.remove(&number) else { return };
        tracing::warn!(partition = number, "the partition is another process's now");
        metrics::counter!("upwrite_applier_leases_lost_total", "reason" => "lost").increment(1);
        if let Some(start) = assignment.start {
            start.abort();
        }
        self.drop_jobs(assignment.term);
    }

    /// A marker that is not the term's own came behind it.
    pub(super) fn ousted(&mut self, term: Term) {
        let Some(ownership) = self.terms.get(&term) else { return };
        let (partition, draining) = (ownership.partition, ownership.draining.is_some());
        // By a marker of our own that was given up and came late: the partition has no owner.
        let own = ownership.fold.owner().is_some_and(|owner| ownership.abandoned.contains(&owner));
        tracing::warn!(%partition, own, "another marker took the partition");
        metrics::counter!("upwrite_applier_leases_lost_total", "reason" => "ousted").increment(1);
        self.drop_jobs(term);
        let now = self.environment.clock.now();
        let Some(assignment) = self.assignments.get(&partition.number).filter(|assignment| assignment.term == term)
        else {
            return;
        };
        if draining {
            self.return_partition(partition.number);
        } else if own {
            self.begin(partition.number, assignment.ousted, Duration::ZERO);
        } else {
            let soon = now.since(assignment.begun) < TAKE_AGAIN_AFTER_MAX;
            let ousted = if soon { assignment.ousted + 1 } else { 1 };
            let delay = TAKE_AGAIN_AFTER.saturating_mul(1 << (ousted - 1).min(16)).min(TAKE_AGAIN_AFTER_MAX);
            self.begin(partition.number, ousted, delay);
        }
    }

    /// The partition holds what only a newer version can read. It stands still; others go on.
    pub(super) fn halt(&mut self, number: u16, reason: String) {
        let Some(assignment) = self.assignments.get_mut(&number) else { return };
        let term = assignment.term;
        assignment.halted = Some(reason);
        let draining = self.terms.get(&term).is_some_and(|ownership| ownership.draining.is_some());
        self.drop_jobs(term);
        self.complain(number);
        if draining {
            self.return_partition(number);
        }
    }

    /// Says so, now and from time to time.
    pub(super) fn complain(&mut self, number: u16) {
        let Some(reason) = self.assignments.get(&number).and_then(|assignment| assignment.halted.as_ref()) else {
            return;
        };
        tracing::error!(partition = number, reason, "the partition stands still: install the newer version");
        let next = self.environment.clock.now() + COMPLAIN_EVERY;
        self.timers.retain(|_, timer| *timer != Timer::Halted(number));
        self.set_timer(next, Timer::Halted(number));
    }

    /// Ends a term that is to be given back, in no good order, and gives the partition back.
    pub(super) fn abandon(&mut self, term: Term) {
        let Some(number) = self.terms.get(&term).map(|ownership| ownership.partition.number) else { return };
        self.drop_jobs(term);
        if self.assignments.get(&number).is_some_and(|assignment| assignment.term == term) {
            self.return_partition(number);
        }
    }

    /// Another process may have the partition.
    pub(super) fn return_partition(&mut self, number: u16) {
        if let Some(assignment) = self.assignments.remove(&number) {
            if let Some(start) = assignment.start {
                start.abort();
            }
            self.returned.push(number);
        }
    }

    /// Nothing is called any more in this term; what is under way is appended as evidence.
    fn drop_jobs(&mut self, term: Term) {
        let Some(ownership) = self.terms.get_mut(&term) else { return };
        ownership.state = OwnerState::Ousted;
        ownership.draining = None;
        ownership.stop_reading();
        // Announced, not called yet, and never to be.
        let announced: Vec<JobId> = std::mem::take(&mut ownership.announced).into_iter().map(|(_, id, _)| id).collect();
        self.awaiting_tables.retain(|intake| intake.term != term);
        self.remove_slots(term, |id, slot| slot.state != SlotState::Busy || announced.contains(&id));
    }

    /// The end of a term.
    pub(super) fn end(&mut self, term: Term) {
        self.remove_slots(term, |_, _| true);
        self.timers.retain(|_, timer| !matches!(timer, Timer::Job(id) if id.term == term));
        self.terms.remove(&term);
    }

    /// Ends the terms that have nothing more to say.
    pub(super) fn retire(&mut self) {
        let over = |(term, ownership): (&Term, &super::partition::Ownership)| {
            let over = ownership.state == OwnerState::Ousted
                && ownership.appending == 0
                && self.slots.range(JobId::all_of(*term)).next().is_none();
            over.then_some(*term)
        };
        let over: Vec<Term> = self.terms.iter().filter_map(over).collect();
        over.into_iter().for_each(|term| self.end(term));
    }

    fn remove_slots(&mut self, term: Term, goes: impl Fn(JobId, &super::Slot) -> bool) {
        let gone: Vec<JobId> =
            self.slots.range(JobId::all_of(term)).filter(|(id, slot)| goes(**id, slot)).map(|(id, _)| *id).collect();
        for id in gone {
            self.slots.remove(&id);
        }
    }

    /// Whether calls may be begun in this term, its lease permitting.
    pub(super) fn sends(&self, term: Term) -> bool {
        self.terms
            .get(&term)
            .is_some_and(|ownership| ownership.state == OwnerState::Owner && ownership.draining.is_none())
    }
}
