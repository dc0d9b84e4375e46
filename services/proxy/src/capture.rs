//! From what a dry run captured to what is asked of upstream. Pure.

mod columns;
mod error;
mod fold;
mod image;
mod locks;
mod plan;
mod record;
mod refuse;
mod returned;
mod session;
mod settings;

pub(crate) use columns::claim_key;
pub use error::CaptureError;
pub use image::Image;
pub use plan::{Captured, DryRun, Plan, plan};
pub use session::Session;
pub use settings::{Apply, OnRollback, OnTimeout, Settings};
