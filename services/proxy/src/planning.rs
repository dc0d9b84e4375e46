//! From what a dry run did to what is asked of upstream: its plan. Pure.

mod captured_row;
mod columns;
mod error;
mod fold;
mod locks;
mod plan;
mod record;
mod refuse;
mod returned_keys;
mod session_settings;
mod upwrite_settings;

pub use captured_row::CapturedRow;
pub use error::PlanError;
pub use plan::{Conclusion, DryRun, Plan, plan};
pub use session_settings::SessionSettings;
pub use upwrite_settings::OnTimeout;
#[cfg(feature = "testing")]
pub use upwrite_settings::{Apply, OnRollback, UpwriteSettings};
