//! From what was heard of each row to the results that the applier reads.

use upwrite_events::{ErrorClass, Op, Outcome};

use super::super::record::ReadRow;
use super::super::refusal::of_errors;
use super::answer::Written;
use crate::outcome::{About, unaccounted};
use crate::{Call, CallRow, RetryRule, RowResult, UpstreamError};

/// A call whose answer was no success, or that got none, as it is for each row.
pub(super) struct CallFailure(pub(super) Vec<UpstreamError>);

pub(super) fn about<'a>(source: &'a str, call: &Call<'a>, row: &'a CallRow) -> About<'a> {
    About { source, table: Some(call.table), op: Some(call.op), row: Some(row), row_exists: false }
}

/// The result of one row. A row that is gone is deleted already, if that was what was asked for.
pub(super) fn row_result(about: &About<'_>, written: &Written, seen: Option<ReadRow>) -> RowResult {
    let key = about.row.map(|row| row.key.clone()).unwrap_or_default();
    match written {
        Written::Done { id: None } if about.op == Some(Op::Insert) => {
            RowResult::Failed(unaccounted(about, 200, "created, but the answer does not name the record"))
        }
        Written::Done { id } => {
            let vendor_version = seen.as_ref().and_then(|row| row.vendor_version.clone());
            let key = if about.op == Some(Op::Insert) { id.clone().unwrap_or(key) } else { key };
            RowResult::Applied { key, image: seen.map(|row| row.image), vendor_version }
        }
        Written::Refused { status, errors } => {
            let error = of_errors(about, *status, errors);
            if about.op == Some(Op::Delete) && error.failure.class == ErrorClass::NotFound {
                return RowResult::Applied { key, image: None, vendor_version: None };
            }
            RowResult::Failed(error)
        }
        Written::Unaccounted { status } => {
            RowResult::Failed(unaccounted(about, *status, "the answer says nothing of this row"))
        }
    }
}

/// A refusal of the call as a whole that is about what some row says, not about the caller: in a call of many
/// independent rows, nobody knows whose fault it is. Each is to be tried alone.
pub(super) fn blame(call: &Call<'_>, sent: usize, mut failure: CallFailure) -> CallFailure {
    let concerns_caller = |class: ErrorClass| {
        matches!(
            class,
            ErrorClass::Auth
                | ErrorClass::RateLimited
                | ErrorClass::Quota
                | ErrorClass::StorageFull
                | ErrorClass::Unavailable
                | ErrorClass::Permission
                | ErrorClass::UnknownTable
                | ErrorClass::Unsupported
                | ErrorClass::Timeout
                | ErrorClass::ServerError
        )
    };
    if !call.atomic && sent > 1 {
        for error in &mut failure.0 {
            if error.failure.outcome == Outcome::NotApplied && !concerns_caller(error.failure.class) {
                error.retry = RetryRule::Alone;
                error.failure.class = ErrorClass::Collateral;
            }
        }
    }
    failure
}
