//! TLS on both legs.

mod acceptor;
mod binding;
mod connector;

pub(crate) use acceptor::Acceptor;
pub use acceptor::TlsError;
pub(crate) use connector::Connector;
