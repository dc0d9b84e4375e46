//! Submitting a mutation and holding its client until the verdict.
//!
//! A held client costs an entry in a map: one task of the process listens for verdicts, and every second reads the status
//! of all held mutations, so a lost notification costs a second, never a verdict. Statements that wait for a claimed record
//! stand in one queue per record; only the head runs again.

mod claim_wait;
mod duplicate;
mod queues;
mod registry;
mod statuses;
mod submitter;
mod verdict_wait;
mod wait_limits;

pub use claim_wait::ClaimWait;
pub use submitter::{SubmitResult, Submitter};
pub use verdict_wait::Hold;
pub use wait_limits::WaitLimits;
