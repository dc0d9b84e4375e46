//! TLS towards PostgreSQL.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::TlsError;
use crate::config::{ServerConfig, ServerTls};
use crate::wire::Socket;

/// `SSLRequest`: length and code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Opens connections to the server.
#[derive(Clone)]
pub(crate) struct Connector {
    config: ServerConfig,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(config: &ServerConfig) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let tls = match config.tls {
            ServerTls::Disable => None,
            ServerTls::Require => {
                let anyone = Arc::new(Anyone(provider));
                Some(builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
            }
            ServerTls::VerifyFull => Some(builder.with_root_certificates(roots(config)?).with_no_client_auth()),
        };
        Ok(Self { config: config.clone(), tls: tls.map(|tls| TlsConnector::from(Arc::new(tls))) })
    }

    /// A connection on which nothing of the protocol has been said yet.
    pub(crate) async fn connect(&self) -> io::Result<Socket> {
        tokio::time::timeout(self.config.connect_timeout, self.open()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn open(&self) -> io::Result<Socket> {
        let mut stream = TcpStream::connect((self.config.host.as_str(), self.config.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Socket::Plain(stream));
        };
        stream.write_all(&SSL_REQUEST).await?;
        // One byte and no more: what comes behind it unencrypted is not of the server.
        if stream.read_u8().await? != b'S' {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not offer TLS"));
        }
        let name = ServerName::try_from(self.config.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = tls.connect(name, stream).await?;
        Ok(Socket::Tls(Box::new(TlsStream::Client(stream))))
    }
}

fn roots(config: &ServerConfig) -> Result<RootCertStore, TlsError> {
    let path = config.root_certificates.clone().unwrap_or_default();
    let unreadable = |reason: String| TlsError::Unreadable { path: path.clone(), reason };
    let pem = std::fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| unreadable(error.to_string()))?)?;
    }
    Ok(roots)
}

/// Takes any certificate, as libpq's `sslmode=require` does; signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
