//! The proxy's configuration: where it listens, where Postgres is, how clients prove who they are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The proxy's configuration. Durations are plain here; the executable reads them in human form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port on which clients connect. Port 0: any free one, see `Proxy::address`.
    pub listen: SocketAddr,
    pub server: ServerConfig,
    pub tls: TlsConfig,
    pub auth: AuthMode,
    pub limits: LimitsConfig,
    /// For how long running and held statements may go on after shutdown was asked for.
    pub grace: Duration,
    /// How often the snapshot of the catalog is renewed.
    pub catalog_refresh: Duration,
}

/// The PostgreSQL server behind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Host name or IP address.
    pub host: String,
    pub port: u16,
    pub tls: ServerTls,
    /// PEM file of the authorities that may have signed the server's certificate; for `verify-full`.
    pub root_certificates: Option<PathBuf>,
    pub connect_timeout: Duration,
}

/// As libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerTls {
    /// For a server on the same machine or a private network.
    #[default]
    Disable,
    /// Encrypted; the server need not prove who it is.
    Require,
    /// Encrypted, and the server's certificate is for its host name.
    VerifyFull,
}

/// The proxy's own certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM file: the certificate, then its chain. Without one the proxy makes a self-signed certificate at each start.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// Refuse clients that do not encrypt.
    pub required: bool,
}

/// How clients prove who they are, and the proxy to the server on their behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// SCRAM-SHA-256 against the server's verifiers, read by `upwrite.auth`. The proxy never sees the password.
    #[default]
    Scram,
    /// The client sends its password (over TLS only) and the proxy logs in with it: for tokens and external
    /// directories.
    Password,
}

/// Nothing is without a limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Client connections at a time (53300 beyond).
    pub connections: usize,
    /// From connecting to the end of authentication.
    pub login_timeout: Duration,
    /// Rows of a captured statement that are kept until its verdict.
    pub buffered_result_bytes: usize,
    /// What a client may send ahead while one of its statements is held.
    pub read_ahead_bytes: usize,
    /// SQL texts whose classification is remembered.
    pub classified_statements: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6432)),
            server: ServerConfig::default(),
            tls: TlsConfig::default(),
            auth: AuthMode::default(),
            limits: LimitsConfig::default(),
            grace: Duration::from_secs(30),
            catalog_refresh: Duration::from_secs(5),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 5432,
            tls: ServerTls::default(),
            root_certificates: None,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 1_000,
            login_timeout: Duration::from_secs(15),
            buffered_result_bytes: 16 * 1024 * 1024,
            read_ahead_bytes: 1024 * 1024,
            classified_statements: 4_096,
        }
    }
}
