//! What is known of a mutation, and what the client may be told of it.

use upwrite_events::{Ack, Lifecycle, MutationId, TableName};

use crate::error::PgError;

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Success(Success),
    Failure(PgError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Real keys in row order; empty with `upwrite.ack = accepted`, where they are not known yet.
    pub keys: Vec<String>,
    /// The synced table shows it: `RETURNING` may be evaluated again. Else answer from the buffered rows.
    pub reconciled: bool,
    /// To be sent before the tag.
    pub warning: Option<PgError>,
}

/// Why a wait ended without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// CancelRequest.
    Cancel,
    StatementTimeout,
    HoldTimeout,
    /// `lock_timeout`, while waiting for a claimed record.
    LockTimeout,
}

/// The mutation that is held.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) mutation: MutationId,
    /// Of the first row.
    pub(crate) table: TableName,
    pub(crate) ack: Ack,
}

/// A mutation's row in `upwrite.mutations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) lifecycle: Lifecycle,
    /// The synced table shows it.
    pub(crate) finished: bool,
}

impl Status {
    /// Whether this is an earlier status than the other.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        let stage = |status: &Self| (status.lifecycle.phase.is_finished(), status.finished);
        stage(self) < stage(other)
    }
}
