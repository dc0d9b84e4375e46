//! TLS on both legs.

mod binding;
mod client_leg;
mod server_leg;

pub(crate) use client_leg::Acceptor;
pub use client_leg::TlsError;
pub(crate) use server_leg::Connector;
