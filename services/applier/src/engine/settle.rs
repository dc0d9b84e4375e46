//! Claims outlived a verdict: read back what is there now, and let them go.

use std::sync::Arc;

use upwrite_connectors::{CallRow, Priority, UpstreamError};
use upwrite_events::{Interval, MutationId, Op, Row, RowChange, TableName};

use super::calls::Looking;
use super::done::{Done, Purpose};
use super::upstream::{Table, Tables, Upstream};
use super::{At, Driver, JobId, Outside, Timer};
use crate::core::{Look, Question, judge, questions, same_by, settled};
use crate::pg_clock::PgOffset;

impl Driver {
    /// No late effect is possible any more.
    pub(super) fn settle(&mut self, id: JobId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.at = At::Busy;
        let reading = Reading {
            outside: self.outside.clone(),
            tables: Arc::clone(&self.tables),
            offset: self.offset,
            mutation: id.mutation,
            sent_at_us: slot.job.request.requested_at_us,
        };
        let job = slot.job.clone();
        let source = job.pieces.first().map(|piece| piece.table.source.clone()).unwrap_or_default();
        let permits = Arc::clone(&self.sources.entry(source).or_default().settling);
        self.tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let result = reading.run(&job).await;
            Done::ReadBack { id, result }
        });
    }

    pub(super) fn read_back(&mut self, id: JobId, result: Result<Vec<(Question, Look)>, UpstreamError>) {
        let now = self.outside.clock.now();
        let now_us = self.outside.clock.unix_us();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match result {
            Ok(answers) => {
                let seen = self.offset.convert(Interval { begun_us: now_us, ended_us: now_us }, now);
                let event = settled(&slot.job, &answers, seen);
                self.append(id.tenure, vec![event], Purpose::Settled(id));
            }
            Err(error) => {
                tracing::info!(mutation = %id.mutation, class = ?error.failure.class, "not settled, trying again");
                slot.at = At::Idle;
                self.set_timer(now + self.outside.config.backoff_max, Timer::Job(id));
            }
        }
    }
}

/// The questions about one mutation, asked one call after another.
struct Reading {
    outside: Outside,
    tables: Arc<Tables>,
    offset: PgOffset,
    mutation: MutationId,
    sent_at_us: i64,
}

impl Reading {
    async fn run(&self, job: &crate::core::Job) -> Result<Vec<(Question, Look)>, UpstreamError> {
        let mut answers = Vec::new();
        for (table, op, asked) in grouped(job, &self.tables) {
            let (Some(upstream), Some(table)) = (self.outside.upstreams.get(&table.source), self.tables.get(&table))
            else {
                continue;
            };
            answers.extend(self.ask(job, upstream, table, op, asked).await?);
        }
        Ok(answers)
    }

    /// Up to a batch of questions about rows of one table and operation.
    async fn ask(
        &self,
        job: &crate::core::Job,
        upstream: &Upstream,
        table: &Arc<Table>,
        op: Op,
        asked: Vec<Question>,
    ) -> Result<Vec<(Question, Look)>, UpstreamError> {
        let reads = matches!(asked.first(), Some(Question::Read { .. }));
        let rows = asked.iter().filter_map(|question| {
            let change = job.request.rows.get(question.row() as usize)?.clone();
            let key = match question {
                Question::Read { key, .. } => key.clone(),
                Question::Judge { .. } => change.key.clone(),
            };
            let idempotency_key = self.mutation.idempotency_key(question.row());
            Some((CallRow { idempotency_key, key, changed: change.changed.clone(), old: change.old.clone() }, change))
        });
        let looking = Looking {
            upstream: upstream.clone(),
            table: Arc::clone(table),
            // A record whose key is known is read, whatever was done to it.
            op: if reads { Op::Update } else { op },
            idempotency: crate::core::idempotency(&table.capabilities, op),
            rows: rows.collect(),
            sent_at_us: self.sent_at_us,
            priority: Priority::Read,
        };
        // Waited for here: within the look-up it would use up its time.
        let reservation = upstream.budget.reserve(Priority::Read).await;
        let (found, seen) = looking.run(reservation).await?;
        let interval = self.offset.convert(seen, self.outside.clock.now());
        let same = same_by(&*upstream.connector);
        let looks = found.into_iter().zip(&looking.rows).map(|(found, (_, change))| {
            // To be read, not judged: as an insert, whatever is there is what is wanted.
            let change = if reads { as_found(change) } else { change.clone() };
            judge(&table.spec, &same, &change, found, interval)
        });
        Ok(asked.into_iter().zip(looks).collect())
    }
}

fn as_found(change: &RowChange) -> RowChange {
    RowChange { op: Op::Insert, changed: Row::new(), old: Row::new(), ..change.clone() }
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
