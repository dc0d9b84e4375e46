#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is a failed test")]

mod options;
mod world;

pub use options::Options;
pub use world::{LIMIT, World};
