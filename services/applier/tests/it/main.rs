//! The applier against an upstream that misbehaves: in virtual time with doubles of log and upstream, and on the real
//! Postgres log with the Salesforce stand-in.

mod double;
mod hazards;
mod ownership;
mod real;
mod simulation;
