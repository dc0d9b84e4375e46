//! The sandbox over real HTTP: its own client here, and jsforce as an independent judge.
#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test, in its harness too")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod admin;
mod auth;
mod collections;
mod composite;
mod faults;
mod harness;
mod jsforce;
mod process;
mod query;
mod records;
mod refusals;
