#![doc = include_str!("../README.md")]
#![deny(clippy::disallowed_methods, reason = "clock and spawning are parameters: see clippy.toml")]

mod backoff_delay;
mod clock;
mod config;
mod core;
mod engine;
mod error;
mod lease;
mod pg_clock;
mod projections;
mod run;
mod status;
#[cfg(test)]
mod testing;

pub use clock::{BootClock, Clock, Moment};
pub use config::Config;
pub use error::ApplierError;
pub use projections::{PgProjections, ProjectionError, Projections, Snapshot};
pub use run::{run, run_with};
pub use status::{ApplierStatus, PartitionStage, PartitionStatus, SourceStatus};
