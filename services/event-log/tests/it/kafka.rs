//! The Kafka engine: its harness, the contract suite on it, and what is its own.

mod engine;
mod faults;
mod harness;
mod suite;
