//! Configuration → the settings of each stage. Starts nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use upwrite_event_log::GroupConfig;

use crate::config::{Config, Control, Engine};

pub(super) fn group(config: &Config) -> GroupConfig {
    GroupConfig { session_timeout: config.session_timeout, ..GroupConfig::default() }
}

pub(super) fn reconciler(config: &Config) -> upwrite_reconciler::Config {
    upwrite_reconciler::Config {
        lock_timeout: config.lock_timeout,
        void_after: config.void_after,
        void_check: (config.void_after / 10).min(Duration::from_secs(5)),
        // With the log in Postgres nothing would empty it.
        outbox: matches!(config.engine, Engine::Kafka(_)),
        ..Default::default()
    }
}

pub(super) fn applier(config: &Config) -> upwrite_applier::Config {
    upwrite_applier::Config { lease: config.lease, deadline: config.max_age, grace: config.grace, ..Default::default() }
}

/// Reads the certificate and its key.
pub(super) fn control(settings: &Control) -> anyhow::Result<upwrite_control::Config> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let tls = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(upwrite_control::TlsPem { certificate: read(certificate)?, key: read(key)? })
        }
        _ => None,
    };
    Ok(upwrite_control::Config {
        listen: settings.listen,
        token: settings.token.as_ref().map(|token| upwrite_control::Token::new(token.expose())),
        tls,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

pub(super) fn proxy(config: &Config) -> upwrite_proxy::Config {
    upwrite_proxy::Config {
        listen: config.proxy.listen,
        server: upwrite_proxy::ServerConfig {
            host: config.postgres.host.clone(),
            port: config.postgres.port,
            tls: config.postgres.tls,
            root_certificates: config.postgres.root_certificates.clone(),
            ..Default::default()
        },
        tls: config.proxy.tls.clone(),
        auth: config.proxy.auth,
        limits: upwrite_proxy::LimitsConfig { connections: config.proxy.max_connections, ..Default::default() },
        grace: config.grace,
        ..Default::default()
    }
}
