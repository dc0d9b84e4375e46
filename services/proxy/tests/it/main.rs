//! The proxy with a real PostgreSQL behind it and real sockets in front.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]
#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod anyone;
mod raw;
mod scram;
mod site;
mod stage;
mod upstream;

mod capture;
mod drivers;
mod dry_run;
mod frames;
mod hold;
mod life;
mod login;
mod opening;
mod relay;
