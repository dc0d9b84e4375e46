#![doc = include_str!("../README.md")]

mod error;
mod observe;
mod backfill;
mod reread;
mod run;

pub use error::SyncerError;
pub use run::{Config, run};
