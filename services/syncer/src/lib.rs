#![doc = include_str!("../README.md")]

mod backfill;
mod error;
mod observe;
mod reread;
mod run;

pub use error::SyncerError;
pub use run::{Config, run};
