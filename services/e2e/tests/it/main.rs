//! Whole-system scenarios on real components.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod bad_input;
mod chaos;
mod counters;
mod documents;
mod drivers;
mod faults;
mod fleet;
mod guarantees;
mod kafka;
mod observed;
mod processes;
mod recover;
mod settings;
mod tokio_scenario;
mod two_vendors;
