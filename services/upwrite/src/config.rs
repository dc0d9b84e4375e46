//! The configuration file: parsed once into one struct, all mistakes reported together.

mod control;
mod file;
mod grants;
mod log;
mod observe;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::{Source, Vendors, read_sources};
use upwrite_proxy::{AuthMode, ServerTls, TlsConfig};
use upwrite_settings::{Document, Section};
pub use upwrite_settings::{Mistake, Secret};

pub use control::Control;
use file::file;
pub use grants::Grant;
pub use log::{Engine, Kafka, Registry};
pub use observe::Observe;

/// The commented reference file, compiled in: `upwrite check-config --reference` prints it.
pub const REFERENCE: &str = include_str!("config/reference.toml");

/// What the file says, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub postgres: Postgres,
    pub engine: Engine,
    pub partitions: u16,
    /// How long a process may be silent before others take its work.
    pub session_timeout: Duration,
    pub proxy: Proxy,
    pub lease: Duration,
    pub max_age: Duration,
    pub lock_timeout: Duration,
    /// After which a claim whose request never came is ended.
    pub void_after: Duration,
    pub logging: Logging,
    pub grace: Duration,
    pub control: Option<Control>,
    pub observe: Observe,
    pub sources: Vec<Arc<dyn Source>>,
    pub grants: Vec<Grant>,
}

#[derive(Debug, Clone)]
pub struct Postgres {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub service_password: Secret,
    pub reconciler_password: Secret,
    pub setup_user: String,
    pub setup_password: Option<Secret>,
    pub tls: ServerTls,
    pub root_certificates: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Proxy {
    pub listen: SocketAddr,
    pub max_connections: usize,
    pub auth: AuthMode,
    pub tls: TlsConfig,
}

#[derive(Debug, Clone)]
pub struct Logging {
    pub json: bool,
    pub level: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}", listed(path, mistakes))]
    Mistakes { path: PathBuf, mistakes: Vec<Mistake> },
}

fn listed(path: &Path, mistakes: &[Mistake]) -> String {
    let count = mistakes.len();
    let mut text = format!("{}: {count} mistake{}", path.display(), if count == 1 { "" } else { "s" });
    for mistake in mistakes {
        text.push_str(&format!("\n  {mistake}"));
    }
    text
}

impl Config {
    /// `vendors`: those whose sources the process knows.
    pub fn load(path: &Path, vendors: Vendors) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, vendors).map_err(|mistakes| ConfigError::Mistakes { path: path.to_owned(), mistakes })
    }

    /// All mistakes, in the order of the file.
    pub fn parse(text: &str, vendors: Vendors) -> Result<Self, Vec<Mistake>> {
        Document::new(text).read(|root| read(root, vendors))
    }
}

fn read(root: &Section<'_, '_>, vendors: Vendors) -> Config {
    let log = root.section("log");
    let applier = root.section("applier");
    let reconciler = root.section("reconciler");
    let logging = root.section("logging");
    let format = logging.string("format").unwrap_or_else(|| "text".to_owned());
    if !matches!(format.as_str(), "text" | "json") {
        logging.wrong("format", "must be \"text\" or \"json\"");
    }
    let sources = read_sources(root, vendors);
    let max_age = applier.duration("max_age").unwrap_or(Duration::from_secs(600));
    Config {
        postgres: postgres(&root.section("postgres")),
        engine: log::engine(root, &log, max_age),
        partitions: log.number("partitions", 1..=1024).unwrap_or(8),
        session_timeout: log.duration("session_timeout").unwrap_or(Duration::from_secs(10)),
        proxy: proxy(&root.section("proxy")),
        lease: applier.duration("lease").unwrap_or(Duration::from_secs(10)),
        max_age,
        lock_timeout: reconciler.duration("lock_timeout").unwrap_or(Duration::from_millis(100)),
        void_after: reconciler.duration("void_after").unwrap_or(Duration::from_secs(60)),
        logging: Logging {
            json: format == "json",
            level: logging.string("level").unwrap_or_else(|| "info".to_owned()),
        },
        grace: root.section("shutdown").duration("grace").unwrap_or(Duration::from_secs(30)),
        control: control::control(root),
        observe: observe::observe(root),
        grants: grants::grants(root, &sources),
        sources,
    }
}

fn postgres(section: &Section<'_, '_>) -> Postgres {
    Postgres {
        host: section.string("host").unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: section.number("port", 1..=65535).unwrap_or(5432),
        database: section.required("database"),
        service_password: section.required_secret("service_password"),
        reconciler_password: section.required_secret("reconciler_password"),
        setup_user: section.string("setup_user").unwrap_or_else(|| "postgres".to_owned()),
        setup_password: section.secret("setup_password"),
        tls: one_of(
            section,
            "tls",
            &[("disable", ServerTls::Disable), ("require", ServerTls::Require), ("verify-full", ServerTls::VerifyFull)],
        ),
        root_certificates: file(section, "root_certificates"),
    }
}

/// One of a few words; the first one is the default.
fn one_of<T: Copy + Default>(section: &Section<'_, '_>, name: &str, words: &[(&str, T)]) -> T {
    let Some(word) = section.string(name) else { return T::default() };
    words.iter().find(|(known, _)| *known == word).map_or_else(
        || {
            let known: Vec<String> = words.iter().map(|(known, _)| format!("{known:?}")).collect();
            section.wrong(name, format!("{word:?} is none of {}", known.join(", ")));
            T::default()
        },
        |(_, value)| *value,
    )
}

fn proxy(section: &Section<'_, '_>) -> Proxy {
    let (certificate, key) = (file(section, "tls_certificate"), file(section, "tls_key"));
    if certificate.is_some() != key.is_some() {
        section.wrong("tls_certificate", "tls_certificate and tls_key go together");
    }
    let connections = section.number("max_connections", 1..=100_000i64);
    Proxy {
        listen: section
            .parsed("listen", "an address and port, like 127.0.0.1:6432")
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 6432))),
        max_connections: connections.and_then(|number| usize::try_from(number).ok()).unwrap_or(500),
        auth: one_of(section, "auth", &[("scram", AuthMode::Scram), ("password", AuthMode::Password)]),
        tls: TlsConfig { certificate, key, required: section.boolean("tls_required").unwrap_or(false) },
    }
}

#[cfg(test)]
mod tests {
    use upwrite_connectors::VENDORS;

    use super::*;

    /// The reference with its secrets in files that exist.
    fn reference() -> String {
        let secret = std::env::temp_dir().join(format!("upwrite-config-test-{}", std::process::id()));
        std::fs::write(&secret, "s3cret\n").unwrap();
        let file = format!("{{ file = {:?} }}", secret.to_str().unwrap());
        REFERENCE
            .lines()
            .map(|line| match line.split_once(" = { env = ") {
                Some((name, _)) if !line.starts_with('#') => format!("{name} = {file}\n"),
                _ => format!("{line}\n"),
            })
            .collect()
    }

    #[test]
    fn the_reference_parses_and_its_comments_tell_the_defaults() {
        let config = Config::parse(&reference(), VENDORS).unwrap();
        assert_eq!(config.postgres.service_password.expose(), "s3cret");
        assert_eq!(config.sources.len(), 1);
        assert_eq!(config.grants.len(), 1);
        assert_eq!(config.lease, Duration::from_secs(10));
    }

    #[test]
    fn all_mistakes_are_reported_with_their_lines() {
        let text = "[postgres]\ndatabase = 7\nhots = \"x\"\nservice_password = \"plain\"\n\n[proxy]\nlisten = \"nowhere\"\n\n[applier]\nlease = \"soon\"\n";
        let mistakes = Config::parse(text, VENDORS).unwrap_err();
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        for expected in [
            "line 2, column 12: postgres.database: expected a string, found integer",
            "line 3, column 1: postgres.hots: unknown key; did you mean host?",
            "line 4, column 20: postgres.service_password",
            "line 1, column 1: postgres.reconciler_password: is missing",
            "line 7, column 10: proxy.listen: \"nowhere\" is not an address and port",
            "line 10, column 9: applier.lease: \"soon\" is not a duration",
        ] {
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected} is not in {lines:#?}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let config = Config::parse(&reference(), VENDORS).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
