#![doc = include_str!("../README.md")]

pub mod connector;
pub mod stand_in;
