//! Write calls and what came of them.

use std::time::Duration;

use upwrite_events::{Failure, LocalInterval, Op, Row, TableSpec};

/// One row of a call.
#[derive(Debug, Clone)]
pub struct CallRow {
    /// [`upwrite_events::MutationId::idempotency_key`] of this row.
    pub idempotency_key: String,
    /// Upstream key; for inserts the placeholder.
    pub key: String,
    pub changed: Row,
    pub old: Row,
}

/// One upstream call: same table, same operation.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub table: &'a TableSpec,
    pub op: Op,
    pub rows: &'a [CallRow],
    /// All or none of the rows.
    pub atomic: bool,
}

/// When a failed row may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRule {
    /// The failure is final.
    Never,
    /// Again, by the applier's back-off.
    Backoff,
    /// Again, but not before this has passed (vendor's `Retry-After` or known penalty).
    After(Duration),
    /// At once, without this call's other rows (collateral of another row).
    Alone,
}

/// A failure and what to do about it. `failure.outcome` says whether the row may have been applied.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    pub failure: Failure,
    pub retry: RetryRule,
}

/// What upstream said of one row.
#[derive(Debug, Clone)]
pub enum RowResult {
    Applied {
        /// The key that upstream gave or has.
        key: String,
        /// The whole row, where the answer carries it or it was read back in the same call.
        image: Option<Row>,
        vendor_version: Option<String>,
    },
    Failed(UpstreamError),
}

/// Answer to a call: one result per row, in order, always as many as there were rows.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub rows: Vec<RowResult>,
    /// In this process's clock, Unix microseconds.
    pub seen: LocalInterval,
}
