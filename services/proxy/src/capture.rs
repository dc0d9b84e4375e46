//! From what a dry run captured to what is asked of upstream. Pure.

mod plan;
mod session;
mod settings;

pub use plan::{CaptureError, Captured, DryRun, Image, Plan, plan};
pub use session::Session;
pub use settings::{OnRollback, OnTimeout, Settings};
