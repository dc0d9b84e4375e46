//! The contract that every engine fulfils, and what is particular to Postgres.

#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod budgets;
mod contract;
mod group;
mod group_names;
mod harness;
mod kafka;
mod postgres;
mod sample;
