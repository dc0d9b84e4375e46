//! The reconciler on a real Postgres and a real log.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod deployment;
mod member;
mod relay;

mod another_log;
mod claims;
mod concurrent;
mod locks;
mod once;
mod order;
mod orphans;
mod outbox;
mod rebuild;
mod repeats;
mod shared;
mod stalled;
mod vacuum;
