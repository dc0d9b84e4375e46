#![doc = include_str!("../README.md")]

mod backoff_delay;
mod config;
mod core;
mod engine;
mod error;
mod lease;
mod projections;
mod run;
mod status;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use error::ApplierError;
pub use projections::{PgProjections, ProjectionError, Projections, Snapshot};
pub use run::{run, run_with};
pub use status::{ApplierStatus, PartitionStage, PartitionStatus, SourceStatus};
