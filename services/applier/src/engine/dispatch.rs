//! From the lanes to the wire: packing, concurrency, budget, lease.

use std::collections::HashMap;
use std::sync::Arc;

use upwrite_connectors::{CallRow, Priority, Reservation};
use upwrite_events::{MutationId, PENDING_PREFIX, RowChange, RowState};

use super::calls::{Looking, Writing};
use super::done::{Done, Purpose};
use super::lanes::{Kind, LaneKey, Ticket};
use super::partition::Stage;
use super::traced::Traced;
use super::upstream::{Table, Upstream};
use super::{At, Driver, Slot, Timer};
use crate::Moment;

impl Driver {
    /// Starts whatever may start now.
    pub(super) fn dispatch(&mut self) {
        let names: Vec<String> = self.sources.keys().cloned().collect();
        for name in names {
            while self.dispatch_one(&name) {}
        }
    }

    /// Starts one call of a source; `false`: nothing can start now.
    fn dispatch_one(&mut self, name: &str) -> bool {
        let tables = Arc::clone(&self.tables);
        let upstreams = Arc::clone(&self.outside.upstreams);
        let (Some(source), Some(upstream)) = (self.sources.get_mut(name), upstreams.get(name)) else { return false };
        if source.waits_for_budget || source.in_flight >= self.outside.config.concurrency.max(1) {
            return false;
        }
        let slots = &self.slots;
        let valid = |ticket: &Ticket| {
            slots.get(&ticket.job).is_some_and(|slot| slot.at == At::Queued && slot.generation == ticket.generation)
        };
        let max_rows = |key: &LaneKey| tables.get(&key.table).map_or(1, |table| table.capabilities.max_batch.max(1));
        let Some((key, tickets)) = source.lanes.take(max_rows, valid) else { return false };
        let Some(table) = tables.get(&key.table) else { return true };
        if source.in_flight >= table.capabilities.max_concurrency.max(1) {
            source.lanes.put_back(key, tickets);
            return false;
        }
        let (tickets, start_until) = match key.kind {
            Kind::Send => self.with_lease(tickets, table),
            Kind::LookUp => (tickets, Moment(std::time::Duration::MAX)),
        };
        if tickets.is_empty() {
            return true;
        }
        // Reserved here and used by the connector, so that what must wait for the budget waits in its lane: a call that is
        // started could not take in company any more, and would use up the time that the lease allows it. A look-up has
        // a client waiting, too.
        let reservation = match upstream.budget.try_reserve(Priority::Write) {
            Ok(reservation) => reservation,
            Err(wait) => {
                self.wait_for_budget(name, key, tickets, wait);
                return false;
            }
        };
        match key.kind {
            Kind::Send => self.call(key, tickets, start_until, upstream, table, reservation),
            Kind::LookUp => self.look_up(key, tickets, upstream, table, reservation),
        }
        true
    }

    fn wait_for_budget(&mut self, name: &str, key: LaneKey, tickets: Vec<Ticket>, wait: std::time::Duration) {
        metrics::counter!("upwrite_applier_budget_waits_total", "source" => name.to_owned()).increment(1);
        if let Some(source) = self.sources.get_mut(name) {
            source.lanes.put_back(key, tickets);
            source.waits_for_budget = true;
        }
        self.set_timer(self.outside.clock.now() + wait, Timer::Source(name.to_owned()));
    }

    /// The tickets whose partition allows a call now, and until when it may begin. The others wait for a renewal.
    fn with_lease(&mut self, tickets: Vec<Ticket>, table: &Table) -> (Vec<Ticket>, Moment) {
        let now = self.outside.clock.now();
        let (mut ready, mut start_until) = (Vec::new(), Moment(std::time::Duration::MAX));
        for ticket in tickets {
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            let tenure = ticket.job.tenure;
            let Some(owned) = self.tenures.get_mut(&tenure).filter(|owned| owned.stage == Stage::Owner) else {
                continue;
            };
            match owned.lease.start_until(table.whole_timeout()).filter(|until| now < *until) {
                Some(until) => {
                    start_until = start_until.min(until);
                    ready.push(ticket);
                }
                None => {
                    slot.at = At::WaitsForLease;
                    owned.waiting.push(ticket.job);
                    self.renew(&ticket);
                }
            }
        }
        (ready, start_until)
    }

    /// The lease has run out: the next call is announced in the log, unless an append is under way. If somebody else
    /// has taken the partition meanwhile, that counts for nothing, and we read of it.
    fn renew(&mut self, ticket: &Ticket) {
        let now_us = self.outside.clock.unix_us();
        let (Some(owned), Some(slot)) = (self.tenures.get_mut(&ticket.job.tenure), self.slots.get(&ticket.job)) else {
            return;
        };
        if !owned.renewing {
            owned.renewing = true;
            let event = slot.job.attempted(&ticket.rows, now_us);
            self.append(ticket.job.tenure, vec![event], Purpose::Renewal);
        }
    }

    fn call(
        &mut self,
        key: LaneKey,
        tickets: Vec<Ticket>,
        start_until: Moment,
        upstream: &Upstream,
        table: &Arc<Table>,
        reservation: Reservation,
    ) {
        let (mut rows, mut mutations) = (Vec::new(), Vec::new());
        let mut atomic = false;
        for ticket in &tickets {
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            slot.at = At::Busy;
            rows.extend(call_rows(slot, &ticket.rows).into_iter().map(|(row, _)| row));
            mutations.push(traced(slot));
            atomic = key.own_call
                && ticket.rows.len() > 1
                && ticket.rows.first().and_then(|row| slot.job.piece_of(*row)).is_some_and(|piece| piece.atomic);
            slot.job.sent(&ticket.rows);
        }
        tracing::debug!(table = %key.table, op = key.op.as_str(), rows = rows.len(), mutations = tickets.len(), atomic, "call");
        self.count(&key, 1);
        let writing = Writing {
            upstream: upstream.clone(),
            table: Arc::clone(table),
            clock: Arc::clone(&self.outside.clock),
            op: key.op,
            rows,
            atomic,
            start_until,
            reservation: Some(reservation),
        };
        let traced = Traced::new(Kind::Send, &key, mutations);
        let clock = Arc::clone(&self.outside.clock);
        self.tasks.spawn(async move {
            let called = traced.run(writing.run()).await;
            Done::Called { key, tickets, called, ended: clock.now() }
        });
    }

    fn look_up(
        &mut self,
        key: LaneKey,
        tickets: Vec<Ticket>,
        upstream: &Upstream,
        table: &Arc<Table>,
        reservation: Reservation,
    ) {
        let (mut rows, mut mutations) = (Vec::new(), Vec::new());
        let mut sent_at_us = i64::MAX;
        for ticket in &tickets {
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            slot.at = At::Busy;
            rows.extend(call_rows(slot, &ticket.rows));
            mutations.push(traced(slot));
            // Nothing can have been sent before it was asked for.
            sent_at_us = sent_at_us.min(slot.job.request.requested_at_us);
        }
        tracing::debug!(table = %key.table, op = key.op.as_str(), rows = rows.len(), "look-up");
        self.count(&key, 1);
        let (upstream, table) = (upstream.clone(), Arc::clone(table));
        let idempotency = crate::core::idempotency(&table.capabilities, key.op);
        let looking = Looking { upstream, table, op: key.op, idempotency, rows, sent_at_us, priority: Priority::Write };
        let traced = Traced::new(Kind::LookUp, &key, mutations);
        let clock = Arc::clone(&self.outside.clock);
        self.tasks.spawn(async move {
            let begun = clock.now();
            let result = traced.run(looking.run(reservation)).await;
            Done::LookedUp { key, tickets, result, changes: looking.rows, begun }
        });
    }

    /// Keeps count of the calls in flight of a source.
    pub(super) fn count(&mut self, key: &LaneKey, change: isize) {
        let source = self.sources.entry(key.table.source.clone()).or_default();
        source.in_flight = source.in_flight.saturating_add_signed(change);
    }
}

/// Whose trace the call belongs to.
fn traced(slot: &Slot) -> (MutationId, Option<String>) {
    (slot.job.mutation, slot.job.request.traceparent.clone())
}

/// Rows as the connector takes them. References to records that this mutation made before are resolved.
fn call_rows(slot: &Slot, rows: &[u32]) -> Vec<(CallRow, RowChange)> {
    let made = made_keys(slot);
    let row = |index: &u32| {
        let change = slot.job.request.rows.get(*index as usize)?.clone();
        let mut changed = change.changed.clone();
        for value in changed.values_mut().flatten() {
            if let Some(key) = made.get(value.as_str()) {
                *value = (*key).to_owned();
            }
        }
        let mutation: MutationId = slot.job.mutation;
        let idempotency_key = mutation.idempotency_key(*index);
        let row = CallRow { idempotency_key, key: change.key.clone(), changed, old: change.old.clone() };
        Some((row, change))
    };
    rows.iter().filter_map(row).collect()
}

/// Placeholder → key of the rows that were applied.
fn made_keys(slot: &Slot) -> HashMap<&str, &str> {
    let pairs = slot.job.request.rows.iter().zip(slot.job.states());
    let made = pairs.filter_map(|(change, state)| match state {
        RowState::Applied(key) if change.key.starts_with(PENDING_PREFIX) => Some((change.key.as_str(), key.as_str())),
        _ => None,
    });
    made.collect()
}
