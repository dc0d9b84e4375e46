//! Where the server listens, and why it does not.

use std::net::SocketAddr;

use crate::Token;

/// The server's settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// What callers must show. Without one only loopback addresses are listened on.
    pub token: Option<Token>,
    /// Without it calls travel in the clear.
    pub tls: Option<TlsPem>,
    /// Of the program, for the status.
    pub version: String,
}

/// The server's certificate (with the chain to the authority) and its key, both in PEM.
#[derive(Clone)]
pub struct TlsPem {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl std::fmt::Debug for TlsPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsPem(…)")
    }
}

/// Why the control API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the control API listens on {0}, which others than this machine can reach: it needs a token")]
    TokenRequired(SocketAddr),
    #[error("the control API cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the control API's certificate or key cannot be used: {0}")]
    Tls(#[source] tonic::transport::Error),
    #[error("the control API ended: {0}")]
    Ended(#[source] tonic::transport::Error),
}
