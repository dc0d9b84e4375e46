//! The Postgres engine: its harness, the contract suite on it, and what is its own.

mod engine;
pub(crate) mod harness;
mod notifier;
mod suite;
