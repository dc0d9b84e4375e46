#![doc = include_str!("../README.md")]

mod batch;
mod columns;
mod config;
mod error;
mod images;
mod load;
mod merge;
mod parked;
mod run;
mod status;
mod store;
mod vacuum;
mod write;

pub use config::Config;
pub use error::ReconcilerError;
pub use merge::{Decision, Image, RecordState, decide};
pub use run::run;
