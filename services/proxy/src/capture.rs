//! From what a dry run captured to what is asked of upstream. Pure.

mod columns;
mod fold;
mod locks;
mod plan;
mod record;
mod refuse;
mod returned;
mod session;
mod settings;

pub use plan::{CaptureError, Captured, DryRun, Image, Plan, plan};
pub use session::Session;
pub use settings::{Apply, OnRollback, OnTimeout, Settings};
