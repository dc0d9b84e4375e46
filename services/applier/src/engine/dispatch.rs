//! From the lanes to the wire: packing, concurrency, budget, lease.

use std::sync::Arc;

use upwrite_connectors::{CallRow, Priority, Reservation};
use upwrite_event_log::Moment;
use upwrite_events::{MutationId, RowChange};

use super::append::Purpose;
use super::call_trace::CallTrace;
use super::calls::{Lookup, Search, WriteCall};
use super::completion::Completion;
use super::lanes::{Kind, LaneKey, Ticket};
use super::partition::OwnerState;
use super::upstream::{Table, Tables, Upstream};
use super::{Driver, Slot, SlotState, Timer};
use crate::core::CreatedKeys;

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
        let upstreams = Arc::clone(&self.environment.upstreams);
        let (Some(source), Some(upstream)) = (self.sources.get_mut(name), upstreams.get(name)) else { return false };
        if source.waits_for_budget || source.in_flight >= self.environment.config.concurrency.max(1) {
            return false;
        }
        let slots = &self.slots;
        let valid = |ticket: &Ticket| {
            slots
                .get(&ticket.job)
                .is_some_and(|slot| slot.state == SlotState::Queued && slot.generation == ticket.generation)
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
        self.set_timer(self.environment.clock.now() + wait, Timer::Source(name.to_owned()));
    }

    /// The tickets whose partition allows a call now, and until when it may begin. The others wait for a renewal.
    fn with_lease(&mut self, tickets: Vec<Ticket>, table: &Table) -> (Vec<Ticket>, Moment) {
        let now = self.environment.clock.now();
        let (mut ready, mut start_until) = (Vec::new(), Moment(std::time::Duration::MAX));
        for ticket in tickets {
            let Some(slot) = self.slots.get_mut(&ticket.job) else { continue };
            let term = ticket.job.term;
            let Some(ownership) = self.terms.get_mut(&term).filter(|ownership| ownership.state == OwnerState::Owner)
            else {
                continue;
            };
            match ownership.lease.start_until(table.whole_timeout()).filter(|until| now < *until) {
                Some(until) => {
                    start_until = start_until.min(until);
                    ready.push(ticket);
                }
                None => {
                    slot.state = SlotState::WaitsForLease;
                    ownership.waiting.push(ticket.job);
                    self.renew(&ticket);
                }
            }
        }
        (ready, start_until)
    }

    /// The lease has run out: the next call is announced in the log, unless an append is under way. If another
    /// process has taken the partition meanwhile, that counts for nothing, and we read of it.
    fn renew(&mut self, ticket: &Ticket) {
        let now_us = self.environment.clock.unix_us();
        let (Some(ownership), Some(slot)) = (self.terms.get_mut(&ticket.job.term), self.slots.get(&ticket.job)) else {
            return;
        };
        if !ownership.renewing {
            ownership.renewing = true;
            let event = slot.job.attempted(&ticket.rows, now_us);
            self.append(ticket.job.term, vec![event], Purpose::Renewal);
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
            slot.state = SlotState::Busy;
            rows.extend(call_rows(slot, &ticket.rows, &self.tables).into_iter().map(|(row, _)| row));
            mutations.push(trace_of(slot));
            atomic = key.own_call
                && ticket.rows.len() > 1
                && ticket.rows.first().and_then(|row| slot.job.piece_of(*row)).is_some_and(|piece| piece.atomic);
            slot.job.sent(&ticket.rows);
        }
        tracing::debug!(table = %key.table, op = key.op.as_str(), rows = rows.len(), mutations = tickets.len(), atomic, "call");
        self.count(&key, 1);
        let write_call = WriteCall {
            upstream: upstream.clone(),
            table: Arc::clone(table),
            clock: Arc::clone(&self.environment.clock),
            op: key.op,
            rows,
            atomic,
            start_until,
            reservation: Some(reservation),
        };
        let trace = CallTrace::new(Kind::Send, &key, mutations);
        let clock = Arc::clone(&self.environment.clock);
        self.tasks.spawn(async move {
            let called = trace.run(write_call.run()).await;
            Completion::Called { key, tickets, called, ended: clock.now() }
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
            slot.state = SlotState::Busy;
            rows.extend(call_rows(slot, &ticket.rows, &self.tables));
            mutations.push(trace_of(slot));
            // Nothing can have been sent before it was asked for.
            sent_at_us = sent_at_us.min(slot.job.request.requested_at_us);
        }
        tracing::debug!(table = %key.table, op = key.op.as_str(), rows = rows.len(), "look-up");
        self.count(&key, 1);
        let (upstream, table) = (upstream.clone(), Arc::clone(table));
        let search = Search::after(key.op, crate::core::idempotency(&table.capabilities, key.op));
        let lookup = Lookup { upstream, table, search, rows, sent_at_us, priority: Priority::Write };
        let trace = CallTrace::new(Kind::LookUp, &key, mutations);
        let clock = Arc::clone(&self.environment.clock);
        self.tasks.spawn(async move {
            let begun = clock.now();
            let result = trace.run(lookup.run(reservation)).await;
            Completion::LookedUp { key, tickets, result, changes: lookup.rows, begun }
        });
    }

    /// Keeps count of the calls in flight of a source.
    pub(super) fn count(&mut self, key: &LaneKey, change: isize) {
        let source = self.sources.entry(key.table.source.clone()).or_default();
        source.in_flight = source.in_flight.saturating_add_signed(change);
    }
}

/// Whose trace the call belongs to.
fn trace_of(slot: &Slot) -> (MutationId, Option<String>) {
    (slot.job.mutation, slot.job.request.traceparent.clone())
}

/// Rows as the connector takes them. References to records that this mutation created before are resolved.
fn call_rows(slot: &Slot, rows: &[u32], tables: &Tables) -> Vec<(CallRow, RowChange)> {
    let created = CreatedKeys::new(&slot.job.request.rows, slot.job.states(), |name| tables.spec(name));
    let row = |index: &u32| {
        let change = slot.job.request.rows.get(*index as usize)?.clone();
        let changed = created.resolve(tables.spec(&change.table), change.changed.clone());
        let mutation: MutationId = slot.job.mutation;
        let idempotency_key = mutation.idempotency_key(*index);
        let row = CallRow { idempotency_key, key: change.key.clone(), changed, old: change.old.clone() };
        Some((row, change))
    };
    rows.iter().filter_map(row).collect()
}
