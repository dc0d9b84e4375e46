//! Doubles for virtual time: a log in memory, an upstream with faults, the applier that runs between them.

mod bench;
mod group;
mod log;
mod tables;
mod world;

pub(crate) use bench::{Asked, Bench, Running, insert, update};
pub(crate) use group::Dealer;
pub(crate) use tables::{KEYED, NOTHING, NUMBERED, PROBED};
pub(crate) use world::Fault;
