#![doc = include_str!("../README.md")]

mod config;
mod error;
mod merge;
mod status;
mod batch;
mod columns;
mod images;
mod write;
mod store;
mod load;
mod parked;
mod vacuum;
mod run;

pub use config::Config;
pub use error::ReconcilerError;
pub use merge::{Decision, Image, RecordState, decide};
pub use run::run;
