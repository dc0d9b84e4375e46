//! Ledger over real HTTP.
#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test, in its harness too")]

mod conformance;
mod stand_in;
