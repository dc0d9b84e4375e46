//! From a mutation's status to its verdict.

use upwrite_events::{Ack, Lifecycle, Outcome, RowState};

use super::status::{About, Cause, Status, Success, Verdict};
use super::texts;
use crate::error::PgError;

/// The verdict, if the client may be told now. `cause`: why its revocation was asked for, if it was.
pub(crate) fn judge(status: &Status, about: &About, cause: Option<Cause>) -> Option<Verdict> {
    let verdict = match status.lifecycle.verdict()? {
        upwrite_events::Verdict::Applied(keys) => {
            if !status.finished && about.ack == Ack::Reconciled {
                return None;
            }
            Verdict::Success(Success { keys, reconciled: status.finished, warning: None })
        }
        // The client is to see the applied rows first.
        upwrite_events::Verdict::Partial { .. } if !status.finished => return None,
        _ => Verdict::Failure(failure(&status.lifecycle, about, cause)),
    };
    Some(verdict)
}

/// The verdict when waiting is over: what is known by then, even if the table does not show it yet. `None`: nothing is known.
pub(crate) fn judge_late(status: &Status, about: &About, cause: Cause) -> Option<Verdict> {
    match status.lifecycle.verdict()? {
        upwrite_events::Verdict::Applied(keys) => Some(Verdict::Success(Success {
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
        Some(upwrite_events::Verdict::Rejected(failure)) if failure.outcome == Outcome::NotApplied => {
            texts::rejected(&failure, about)
        }
        Some(upwrite_events::Verdict::Rejected(failure)) => texts::unknown(Some(&failure), about),
        Some(upwrite_events::Verdict::Partial { failure, .. }) => {
            let keys = lifecycle.rows.iter().filter_map(|row| match row {
                RowState::Applied(key) => Some(key.as_str()),
                RowState::Pending | RowState::Rejected | RowState::InDoubt => None,
            });
            texts::partial(&keys.collect::<Vec<_>>(), lifecycle.rows.len(), failure.as_ref(), about)
        }
        Some(upwrite_events::Verdict::Unknown(failure)) => texts::unknown(failure.as_ref(), about),
        Some(upwrite_events::Verdict::Revoked) => {
            texts::withdrawn(cause.unwrap_or(Cause::Cancel), Some(about.mutation))
        }
        Some(upwrite_events::Verdict::Voided) => texts::log_refused(Some(about.mutation)),
        Some(upwrite_events::Verdict::Applied(_)) | None => texts::not_known(about.mutation),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
