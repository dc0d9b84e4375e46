//! The control API on a real Postgres, a real log and real sockets.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod test_server;

mod access;
mod mutations;
mod operations;
mod reflection;
mod status;
mod watch;
