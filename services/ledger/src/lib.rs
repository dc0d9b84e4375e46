#![doc = include_str!("../README.md")]

pub mod stand_in;
