#![doc = include_str!("../README.md")]

pub mod config;
mod logging;
pub mod setup;
mod connect;
mod signals;
mod run;
pub mod commands;
pub mod demo;

pub use upwrite_connectors::salesforce::install_crypto_provider;
