//! The contract that every engine fulfils, and what is particular to Postgres.

mod contract;
mod harness;
mod postgres;
mod sample;
