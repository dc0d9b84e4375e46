//! The syncer on a real Postgres, against an upstream that does what the test wants.

#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]
#![allow(clippy::unwrap_used, reason = "a panic is a failed test; helpers count as tests")]

mod backfills;
mod clock;
mod rereads;
mod sharing;
mod upstream;
mod world;
