#![doc = include_str!("../README.md")]

mod cli;
pub mod commands;
pub mod config;
mod connect;
pub mod ctl;
pub mod demo;
mod logging;
mod observe;
mod operations;
pub mod setup;
mod signals;
mod stage;
mod stages;

pub use cli::main;
pub use stage::Stage;
pub use upwrite_connectors::{VENDORS, install_crypto_provider};
