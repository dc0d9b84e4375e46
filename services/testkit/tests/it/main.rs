//! The harness on real servers and processes.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test; clippy knows only functions marked so")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod brokers;
mod clusters;
mod deploy;
mod drivers;
mod limits;
mod processes;
mod rules;
