#![doc = include_str!("../README.md")]

mod assignment;
mod batch;
mod check;
mod claims;
mod columns;
mod config;
mod environment;
mod error;
mod finish;
mod images;
mod load;
mod merge;
mod mutation_columns;
mod parked;
mod plan;
mod progress;
mod rebuild;
mod reconcile;
mod records;
mod run;
mod state;
mod status;
mod store;
mod term;
mod traced;
mod vacuum;
mod voids;
mod write;

pub use config::Config;
pub use error::ReconcilerError;
pub use progress::{PartitionProgress, Progress};
pub use rebuild::{
    Binding, MutationsReport, ProjectionsReport, Rebuild, RebuildError, RebuildProgress, RecoverReport, TableReport,
};
pub use run::run;
