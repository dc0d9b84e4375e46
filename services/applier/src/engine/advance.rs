//! A job's next step, carried out.

use std::time::Duration;

use upwrite_event_log::Moment;
use upwrite_events::Op;

use super::append::Purpose;
use super::lanes::{Kind, LaneKey, Ticket};
use super::partition::OwnerState;
use super::{Driver, JobId, SlotState, Timer};
use crate::core::{JobStep, announces};

impl Driver {
    /// Asks the stepper what an idle job needs, and begins it.
    pub(super) fn advance(&mut self, id: JobId) {
        let now = self.environment.clock.now();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.state != SlotState::Idle {
            return;
        }
        let ownership = self.terms.get(&id.term).filter(|ownership| ownership.state == OwnerState::Owner);
        let (owner, draining) = (ownership.is_some(), ownership.is_some_and(|ownership| ownership.draining.is_some()));
        match slot.job.next(now, self.limits) {
            JobStep::Record(events) => {
                slot.state = SlotState::Busy;
                self.append(id.term, events, Purpose::Outcome(id));
            }
            // All that an ousted owner has to say are outcomes.
            _ if !owner => {
                self.slots.remove(&id);
            }
            // What is not settled now is settled by the next owner.
            JobStep::Send(_) | JobStep::LookUp(_) | JobStep::Finished(Some(_)) if draining => {}
            JobStep::Send(rows) => self.send(id, rows),
            JobStep::LookUp(rows) => self.enqueue(id, rows, Kind::LookUp),
            JobStep::Wait(until) => self.wait(id, now, until),
            JobStep::Finished(None) => {
                self.slots.remove(&id);
            }
            JobStep::Finished(Some(at)) if now >= at => self.settle(id),
            JobStep::Finished(Some(at)) => self.set_timer(at, Timer::Job(id)),
        }
    }

    /// Where a call must be announced, that comes first.
    fn send(&mut self, id: JobId, rows: Vec<u32>) {
        let now_us = self.environment.clock.unix_us();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let announced = rows.first().and_then(|row| slot.job.piece_of(*row));
        if announced.is_some_and(|piece| announces(piece.idempotency)) {
            slot.state = SlotState::Busy;
            let event = slot.job.attempted(&rows, now_us);
            self.append(id.term, vec![event], Purpose::Attempted(id, rows));
        } else {
            self.enqueue(id, rows, Kind::Send);
        }
    }

    /// The announcement has been read back, and no other marker came before it. If the same rows are still to be
    /// sent (no revocation came in between), they go.
    pub(super) fn announced(&mut self, id: JobId, rows: Vec<u32>) {
        let now = self.environment.clock.now();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.state = SlotState::Idle;
        let ownership = self.terms.get(&id.term);
        let sends =
            ownership.is_some_and(|ownership| ownership.state == OwnerState::Owner && ownership.draining.is_none());
        let goes = sends && slot.job.next(now, self.limits) == JobStep::Send(rows.clone());
        if goes {
            self.enqueue(id, rows, Kind::Send);
        } else {
            self.advance(id);
        }
    }

    pub(super) fn enqueue(&mut self, id: JobId, rows: Vec<u32>, kind: Kind) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(piece) = rows.first().and_then(|row| slot.job.piece_of(*row)) else { return };
        let own_call = match kind {
            Kind::Send => !slot.job.packs(),
            // What a search must leave out (older records) differs from mutation to mutation.
            Kind::LookUp => piece.op == Op::Insert && announces(piece.idempotency),
        };
        let key = LaneKey { table: piece.table.clone(), op: piece.op, kind, own_call };
        slot.generation += 1;
        slot.state = SlotState::Queued;
        let ticket = Ticket { job: id, rows, generation: slot.generation, queued: self.environment.clock.now() };
        self.sources.entry(key.table.source.clone()).or_default().lanes.push(key, ticket);
    }

    /// A wait that is long, and news, is a fact in the log.
    fn wait(&mut self, id: JobId, now: Moment, until: Moment) {
        let length = until.since(now);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.job.is_unrecorded() && length >= self.environment.config.defer_from {
            slot.state = SlotState::Busy;
            let not_before = self.environment.clock.unix_us().saturating_add(micros(length));
            let event = slot.job.deferred(not_before);
            tracing::debug!(mutation = %id.mutation, wait_ms = length.as_millis() as u64, "deferred");
            self.append(id.term, vec![event], Purpose::Deferred(id));
        } else {
            self.set_timer(until, Timer::Job(id));
        }
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
