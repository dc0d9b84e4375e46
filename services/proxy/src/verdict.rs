//! What the client is told, once it is known. Pure.
//!
//! The rule behind every text: a definite failure is told only where nothing was applied; where nobody can know, or only
//! some rows were applied, it is 40003 with the mutation's id, which no driver or ORM retries blindly.

mod texts;

use upwrite_events::{Ack, Lifecycle, MutationId, Outcome, RowState, TableName, Verdict as Folded};

use crate::error::PgError;

pub(crate) use texts::{log_refused, log_unanswered, not_known, outlived_rollback, too_large, withdrawn};

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Success(Success),
    Failure(PgError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Real keys in row order; empty with `upwrite.ack = accepted`, where nobody knows them yet.
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
    /// Whether it was so before the other was.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        let stage = |status: &Self| (status.lifecycle.phase.is_finished(), status.finished);
        stage(self) < stage(other)
    }
}

/// The verdict, if the client may be told now. `cause`: why the mutation was to be withdrawn, if it was.
pub(crate) fn judge(status: &Status, about: &About, cause: Option<Cause>) -> Option<Verdict> {
    let told = match status.lifecycle.verdict()? {
        Folded::Applied(keys) => {
            if !status.finished && about.ack == Ack::Reconciled {
                return None;
            }
            Verdict::Success(Success { keys, reconciled: status.finished, warning: None })
        }
        // The rows that were applied are to be seen first.
        Folded::Partial { .. } if !status.finished => return None,
        _ => Verdict::Failure(failure(&status.lifecycle, about, cause)),
    };
    Some(told)
}

/// What is told when waiting is over: what is known by then, though the table does not show it yet; `None`: nothing is known.
pub(crate) fn judge_late(status: &Status, about: &About, cause: Cause) -> Option<Verdict> {
    match status.lifecycle.verdict()? {
        Folded::Applied(keys) => Some(Verdict::Success(Success {
            keys,
            reconciled: status.finished,
            warning: (!status.finished).then(|| texts::not_shown_yet(about)),
        })),
        _ => Some(Verdict::Failure(failure(&status.lifecycle, about, Some(cause)))),
    }
}

/// The error of a mutation that did not wholly succeed.
fn failure(lifecycle: &Lifecycle, about: &About, cause: Option<Cause>) -> PgError {
    match lifecycle.verdict() {
        Some(Folded::Rejected(failure)) if failure.outcome == Outcome::NotApplied => texts::rejected(&failure, about),
        Some(Folded::Rejected(failure)) => texts::unknown(Some(&failure), about),
        Some(Folded::Partial { failure, .. }) => {
            let keys = lifecycle.rows.iter().filter_map(|row| match row {
                RowState::Applied(key) => Some(key.as_str()),
                RowState::Pending | RowState::Rejected | RowState::InDoubt => None,
            });
            texts::partial(&keys.collect::<Vec<_>>(), lifecycle.rows.len(), failure.as_ref(), about)
        }
        Some(Folded::Unknown(failure)) => texts::unknown(failure.as_ref(), about),
        Some(Folded::Revoked) => texts::withdrawn(cause.unwrap_or(Cause::Cancel), Some(about.mutation)),
        Some(Folded::Voided) => texts::log_refused(Some(about.mutation)),
        Some(Folded::Applied(_)) | None => texts::not_known(about.mutation),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
