#![doc = include_str!("../README.md")]
#![deny(clippy::disallowed_methods, reason = "clock and spawning are parameters: see clippy.toml")]

mod backoff_delay;
mod config;
mod core;
mod engine;
mod error;
mod lease;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported for tests"))]
mod projections;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported for tests"))]
mod run;
mod status;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use error::ApplierError;
#[cfg(feature = "testing")]
pub use projections::{ProjectionError, Projections, Snapshot};
pub use run::run;
#[cfg(feature = "testing")]
pub use run::run_with;
pub use status::{ApplierStatus, PartitionState, PartitionStatus, SourceStatus};
