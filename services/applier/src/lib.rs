#![doc = include_str!("../README.md")]

mod config;
mod error;
mod clock;
mod projections;
mod core;
mod lease;
mod pg_clock;
mod backoff_delay;
mod engine;
mod run;
#[cfg(test)]
mod testing;

pub use clock::{BootClock, Clock, Moment};
pub use config::Config;
pub use error::ApplierError;
pub use projections::{PgProjections, ProjectionError, Projections, Snapshot};
pub use run::{run, run_with};
