//! Ledger over real HTTP.
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test, in its harness too")]

mod conformance;
mod stand_in;
