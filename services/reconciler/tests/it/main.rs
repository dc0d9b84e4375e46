//! The reconciler on a real Postgres and a real log.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod world;

mod claims;
mod locks;
mod once;
mod order;
mod vacuum;
