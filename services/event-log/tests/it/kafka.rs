//! The Kafka engine: its harness, the contract suite on it, and what is its own.

mod auth;
mod consumers;
mod engine;
mod faults;
mod harness;
mod records;
mod registry;
mod relay;
mod suite;
mod topics;
