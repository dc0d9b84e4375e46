//! What the client is told, once it is known. Pure.
//!
//! The rule behind every text: a definite failure is told only where nothing was applied; where it cannot be known, or only
//! some rows were applied, it is 40003 with the mutation's id, which no driver or ORM retries blindly.

mod judge;
mod status;
mod texts;

pub(crate) use judge::{judge, judge_late};
pub(crate) use status::{About, Cause, Status};
pub use status::{Success, Verdict};
pub(crate) use texts::{log_refused, log_unanswered, not_known, outlived_rollback, too_large, withdrawn};
