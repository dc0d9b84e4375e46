//! Requests to the vendor: one attempt each, bounded in time and size, with what is known about their sending.

mod client;
mod transport;

pub(crate) use client::{Client, ClientError, Request};
pub use transport::install_crypto_provider;
pub(crate) use transport::{Answer, SendError, Transport};
