#![doc = include_str!("../README.md")]

#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported for tests"))]
mod assignment;
mod backfill;
mod config;
mod error;
mod observe;
mod pauses;
mod reread;
mod source;
mod tables;

pub use assignment::run;
#[cfg(feature = "testing")]
pub use assignment::run_with;
pub use config::Config;
pub use error::SyncerError;
