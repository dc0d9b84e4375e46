//! The Salesforce connector against the stand-in: real sockets, real wire shapes, faults on demand.

#![deny(clippy::disallowed_methods, reason = "a test waits for an event, never for time to pass")]

mod conformance;
mod created;
mod discover;
mod faults;
mod harness;
mod login;
mod odd_hosts;
mod read;
mod write;
