//! The contract that every engine fulfils, and what is particular to Postgres.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod budgets;
mod contract;
mod group;
mod group_names;
mod harness;
mod kafka;
mod postgres;
mod sample;
