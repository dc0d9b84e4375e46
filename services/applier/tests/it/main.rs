//! The applier against an upstream that misbehaves: in virtual time with doubles of log and upstream, and on the real
//! Postgres log with the Salesforce stand-in.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test; helpers count as tests")]

mod budget;
mod double;
mod handover;
mod hazards;
mod ownership;
#[deny(clippy::disallowed_methods, reason = "real components: a test waits for an event, never for time to pass")]
mod real;
mod simulation;
