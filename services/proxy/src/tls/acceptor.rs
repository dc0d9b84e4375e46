//! TLS towards clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::binding::end_point;
use crate::config::TlsConfig;

/// ALPN name that PostgreSQL registered; required of clients that start TLS without asking (direct TLS).
pub(super) const ALPN: &[u8] = b"postgresql";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("tls.certificate and tls.key must be given together")]
    Half,
    #[error("{path}: {reason}", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("certificate and key cannot be used: {0}")]
    Rejected(#[from] rustls::Error),
    #[error("no certificate could be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

/// The proxy's certificate, ready for handshakes.
#[derive(Clone)]
pub(crate) struct Acceptor {
    acceptor: TlsAcceptor,
    /// For SCRAM-SHA-256-PLUS.
    pub(crate) end_point: Option<Arc<[u8]>>,
}

impl Acceptor {
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        let (chain, key) = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => read(certificate, key)?,
            (None, None) => self_signed()?,
            _ => return Err(TlsError::Half),
        };
        let end_point = chain.first().and_then(|certificate| end_point(certificate)).map(Arc::from);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(tls)), end_point })
    }

    /// `direct`: the client did not ask first, so it must name the protocol.
    pub(crate) async fn accept(&self, stream: TcpStream, direct: bool) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.acceptor.accept(stream).await?;
        if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            let reason = "direct TLS without ALPN protocol \"postgresql\"";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        Ok(TlsStream::Server(stream))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let unreadable = |path: &Path, reason: &dyn std::fmt::Display| TlsError::Unreadable {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let pem = fs::read(certificate).map_err(|error| unreadable(certificate, &error))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(certificate, &error))?;
    if chain.is_empty() {
        return Err(unreadable(certificate, &"no certificate in it"));
    }
    let pem = fs::read(key).map_err(|error| unreadable(key, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unreadable(key, &error))?;
    Ok((chain, key))
}

fn self_signed() -> Result<Identity, TlsError> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    tracing::info!(
        "no tls.certificate is configured: clients can encrypt with a self-signed certificate, but not verify it"
    );
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.der().clone()], key))
}
