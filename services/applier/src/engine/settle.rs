//! Claims outlived a verdict: read back what is there now, and let them go.

use std::sync::Arc;

use upwrite_connectors::{CallRow, Priority, UpstreamError};
use upwrite_event_log::PgClock;
use upwrite_events::{LocalInterval, MutationId, Op, TableName};

use super::append::Purpose;
use super::calls::{Lookup, Search};
use super::completion::Completion;
use super::upstream::{Table, Tables, Upstream};
use super::{Driver, Environment, JobId, SlotState, Timer};
use crate::core::{Finding, Question, judge, questions, same_by, settled, shown};

impl Driver {
    /// No late effect is possible any more.
    pub(super) fn settle(&mut self, id: JobId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.state = SlotState::Busy;
        let read_back = ReadBack {
            environment: self.environment.clone(),
            tables: Arc::clone(&self.tables),
            pg_clock: self.pg_clock,
            mutation: id.mutation,
            sent_at_us: slot.job.request.requested_at_us,
        };
        let job = slot.job.clone();
        let source = job.pieces.first().map(|piece| piece.table.source.clone()).unwrap_or_default();
        let permits = Arc::clone(&self.sources.entry(source).or_default().settling);
        self.tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let result = read_back.run(&job).await;
            Completion::ReadBack { id, result }
        });
    }

    pub(super) fn read_back(&mut self, id: JobId, result: Result<Vec<Finding>, UpstreamError>) {
        let now = self.environment.clock.now();
        let now_us = self.environment.clock.unix_us();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match result {
            Ok(findings) => {
                let seen = self.pg_clock.convert(LocalInterval { begun_us: now_us, ended_us: now_us }, now);
                let event = settled(&slot.job, findings, seen);
                self.append(id.term, vec![event], Purpose::Settled(id));
            }
            Err(error) => {
                tracing::info!(mutation = %id.mutation, class = ?error.failure.class, "not settled, trying again");
                slot.state = SlotState::Idle;
                self.set_timer(now + self.environment.config.backoff_max, Timer::Job(id));
            }
        }
    }
}

/// The questions about one mutation, asked one call after another.
struct ReadBack {
    environment: Environment,
    tables: Arc<Tables>,
    pg_clock: PgClock,
    mutation: MutationId,
    sent_at_us: i64,
}

impl ReadBack {
    async fn run(&self, job: &crate::core::Job) -> Result<Vec<Finding>, UpstreamError> {
        let mut findings = Vec::new();
        for (table, op, asked) in grouped(job, &self.tables) {
            let (Some(upstream), Some(table)) =
                (self.environment.upstreams.get(&table.source), self.tables.get(&table))
            else {
                continue;
            };
            findings.extend(self.ask(job, upstream, table, op, asked).await?);
        }
        Ok(findings)
    }

    /// Up to a batch of questions about rows of one table and operation.
    async fn ask(
        &self,
        job: &crate::core::Job,
        upstream: &Upstream,
        table: &Arc<Table>,
        op: Op,
        asked: Vec<Question>,
    ) -> Result<Vec<Finding>, UpstreamError> {
        let search = match asked.first() {
            Some(Question::Read { .. }) => Search::ByKey,
            _ => Search::after(op, crate::core::idempotency(&table.capabilities, op)),
        };
        let rows = asked.iter().filter_map(|question| {
            let change = job.request.rows.get(question.row() as usize)?.clone();
            let key = match question {
                Question::Read { key, .. } => key.clone(),
                Question::Judge { .. } => change.key.clone(),
            };
            let idempotency_key = self.mutation.idempotency_key(question.row());
            Some((CallRow { idempotency_key, key, changed: change.changed.clone(), old: change.old.clone() }, change))
        });
        let lookup = Lookup {
            upstream: upstream.clone(),
            table: Arc::clone(table),
            search,
            rows: rows.collect(),
            sent_at_us: self.sent_at_us,
            priority: Priority::Read,
        };
        // Waited for here: within the lookup it would use up its time.
        let reservation = upstream.budget.reserve(Priority::Read).await;
        let (found, seen) = lookup.run(reservation).await?;
        let interval = self.pg_clock.convert(seen, self.environment.clock.now());
        let same = same_by(&*upstream.connector);
        let rows = lookup.rows.iter().map(|(_, change)| change);
        let findings =
            asked.into_iter().zip(found.into_iter().zip(rows)).map(|(question, (found, change))| match question {
                Question::Read { row, key } => Finding::Read { row, key, record: shown(found, interval) },
                Question::Judge { row } => {
                    Finding::Judged { row, look: judge(&table.spec, &same, change, found, interval) }
                }
            });
        Ok(findings.collect())
    }
}

/// Questions that may be asked together: same table, operation and kind, at most a batch.
fn grouped(job: &crate::core::Job, tables: &Tables) -> Vec<(TableName, Op, Vec<Question>)> {
    let mut groups: Vec<(TableName, Op, Vec<Question>)> = Vec::new();
    for question in questions(job) {
        let Some(piece) = job.piece_of(question.row()) else { continue };
        let max = tables.get(&piece.table).map_or(1, |table| table.capabilities.max_batch.max(1));
        let fits = |(table, op, asked): &&mut (TableName, Op, Vec<Question>)| {
            let same_kind = asked.first().map(std::mem::discriminant) == Some(std::mem::discriminant(&question));
            *table == piece.table && *op == piece.op && same_kind && asked.len() < max
        };
        match groups.last_mut().filter(fits) {
            Some((_, _, asked)) => asked.push(question),
            None => groups.push((piece.table.clone(), piece.op, vec![question])),
        }
    }
    groups
}
