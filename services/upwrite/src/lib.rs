#![doc = include_str!("../README.md")]

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

pub use stage::Stage;
pub use upwrite_connectors::salesforce::install_crypto_provider;
