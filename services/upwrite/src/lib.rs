#![doc = include_str!("../README.md")]

pub mod commands;
pub mod config;
mod connect;
pub mod demo;
mod logging;
mod run;
pub mod setup;
mod signals;

pub use upwrite_connectors::salesforce::install_crypto_provider;
