//! A mutation's row in `upwrite.mutations`, kept from event to event. Pure.

use serde::{Deserialize, Serialize};
use upwrite_events::{Failure, Lifecycle, MutationRequested, Op, Phase, Position, RowState};

/// The row, column by column (see `schemas/sql/tables/0006_mutations.sql`). Times are Unix microseconds; `store` turns them
/// into `timestamptz`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Status {
    pub(crate) id: uuid::Uuid,
    pub(crate) state: String,
    pub(crate) source: String,
    pub(crate) table_name: String,
    pub(crate) operation: String,
    pub(crate) row_count: i32,
    pub(crate) applied_count: i32,
    pub(crate) keys: Option<Vec<Option<String>>>,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) application_name: String,
    pub(crate) attempts: i32,
    pub(crate) requested_at_us: i64,
    pub(crate) accepted_at_us: Option<i64>,
    pub(crate) attempted_at_us: Option<i64>,
    pub(crate) answered_at_us: Option<i64>,
    pub(crate) not_before_us: Option<i64>,
    pub(crate) revocation_requested: bool,
    pub(crate) outlived_rollback: bool,
    pub(crate) traceparent: Option<String>,
    pub(crate) redrive_of: Option<uuid::Uuid>,
    pub(crate) partition: i16,
    pub(crate) position: i64,
    pub(crate) failure: Option<Failure>,
    pub(crate) lifecycle: Option<Lifecycle>,
    /// Verdict reached and every row written: set in the transaction that does it.
    pub(crate) finished: bool,
    pub(crate) released: bool,
}

impl Status {
    /// A void's claims go at once; the mutation itself is remembered (its request may still come).
    pub(crate) fn has_claims(&self) -> bool {
        let voided = self.lifecycle.as_ref().is_some_and(|life| life.phase == Phase::Voided);
        !self.released && !voided
    }

    /// The row of a mutation that was just requested.
    pub(crate) fn requested(request: &MutationRequested, partition: u16, position: Position) -> Self {
        let first = request.rows.first();
        let same_op = |op: Op| request.rows.iter().all(|row| row.op == op);
        Self {
            source: first.map(|row| row.table.source.clone()).unwrap_or_default(),
            table_name: first.map(|row| row.table.table.clone()).unwrap_or_default(),
            operation: first.map_or("mixed", |row| if same_op(row.op) { row.op.as_str() } else { "mixed" }).to_owned(),
            row_count: i32::try_from(request.rows.len()).unwrap_or(i32::MAX),
            database: request.database.clone(),
            username: request.user.clone(),
            application_name: request.application_name.clone(),
            traceparent: request.traceparent.clone(),
            redrive_of: request.redrive_of.map(|id| id.0),
            ..Self::unknown(request.mutation.0, partition, position, request.requested_at_us)
        }
    }

    /// The row of a mutation of which only the id is known: its void came before its request.
    pub(crate) fn unknown(id: uuid::Uuid, partition: u16, position: Position, requested_at_us: i64) -> Self {
        Self {
            id,
            operation: "mixed".to_owned(),
            requested_at_us,
            partition: i16::try_from(partition).unwrap_or(i16::MAX),
            position: position.0,
            ..Self::default()
        }
    }

    /// Takes over what the fold says now.
    pub(crate) fn fold(&mut self, life: &Lifecycle) {
        self.state = life.phase.as_str().to_owned();
        self.attempts = i32::try_from(life.attempts).unwrap_or(i32::MAX);
        self.not_before_us = life.not_before_us;
        self.revocation_requested = life.revocation_requested;
        self.outlived_rollback = life.outlived_rollback;
        self.failure = life.failure.clone();
        let keys: Vec<Option<String>> = life
            .rows
            .iter()
            .map(|row| match row {
                RowState::Applied(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        let applied = keys.iter().flatten().count();
        self.applied_count = i32::try_from(applied).unwrap_or(i32::MAX);
        self.keys = (applied > 0).then_some(keys);
        self.lifecycle = Some(life.clone());
    }
}
