//! Whole-system scenarios on real components.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod drivers;
mod tokio_scenario;
mod counters;
mod bad_input;
mod faults;
mod chaos;
mod processes;
mod guarantees;
