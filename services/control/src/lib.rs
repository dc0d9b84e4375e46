#![doc = include_str!("../README.md")]

mod proto;

mod config;
mod token;

mod filter;
mod instant;
mod mutations;
mod status;
mod timeline;
mod watch;

mod operations;

mod server;
mod service;

mod client;

pub use client::{Client, ClientConfig, ClientError, Responses};
pub use config::{Config, ControlError, TlsPem};
pub use operations::{OperationError, Operations, Progress, ProgressStream, Target, Unsupported};
pub use prost_types::Timestamp;
pub use proto::v1;
pub use server::{Server, serve};
pub use token::Token;
