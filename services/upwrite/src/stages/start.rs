//! Starting: configuration → the settings of each stage.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::Connector;
use upwrite_event_log::{Engine as LogEngine, GroupConfig, Membership, PgMembership};

use super::log::Log;
use super::stops::{Running, Stops};
use super::{Stage, budgets, heartbeat, publisher};
use crate::config::{Config, Engine};
use crate::connect;
use crate::observe::Observed;

/// What starting a stage takes.
struct Starting<'a> {
    config: &'a Config,
    pool: &'a PgPool,
    log: &'a Log,
    observed: &'a Observed,
    stops: &'a Stops,
    connectors: HashMap<String, Arc<dyn Connector>>,
    tellings: Mutex<Vec<(Stage, heartbeat::Telling)>>,
}

/// Starts the stages. Each of the tokens is cancelled once its stage is ready.
pub(super) async fn start(
    config: &Config,
    stages: &[Stage],
    pool: &PgPool,
    log: &Log,
    observed: &Observed,
    stops: &Stops,
    running: &mut Running,
) -> anyhow::Result<Vec<CancellationToken>> {
    let calls = stages.iter().any(|stage| matches!(stage, Stage::Applier | Stage::Syncer));
    let connectors = if calls { connect::connectors(config, &observed.budgets)? } else { HashMap::new() };
    if calls {
        budgets::share(&observed.budgets, pool, &stops.log);
    }
    let starting = Starting { config, pool, log, observed, stops, connectors, tellings: Mutex::default() };
    let mut opened = Vec::new();
    // What the others need comes first: a client that the proxy lets in is to get its answer.
    for stage in [Stage::Reconciler, Stage::Applier, Stage::Syncer, Stage::Control, Stage::Proxy] {
        if !stages.contains(&stage) {
            continue;
        }
        match stage {
            Stage::Reconciler => {
                starting.reconciler(running);
                starting.publisher(running);
            }
            Stage::Applier => starting.applier(running),
            Stage::Syncer => starting.syncer(running),
            Stage::Control => starting.control(running).await?,
            Stage::Proxy => opened.push(starting.proxy(stages, running).await?),
        }
        observed.readiness.runs(stage);
    }
    let tellings = starting.tellings.into_inner().unwrap_or_else(PoisonError::into_inner);
    running.farewell(tokio::spawn(heartbeat::keep(pool.clone(), stages.to_vec(), tellings, stops.log.clone())));
    Ok(opened)
}

impl Starting<'_> {
    /// What the stage tells of itself in `upwrite.processes`.
    fn tells(&self, stage: Stage, tell: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.tellings.lock().unwrap_or_else(PoisonError::into_inner).push((stage, Box::new(tell)));
    }

    /// A place among those that do the same.
    fn group(&self, name: &'static str, items: u16, stop: &CancellationToken) -> Box<dyn Membership> {
        let options = self.pool.connect_options().as_ref().clone();
        let config = GroupConfig { session_timeout: self.config.session_timeout, ..GroupConfig::default() };
        let member = Box::new(PgMembership::join(options, name, items, config, stop.clone()));
        self.observed.readiness.member(name, member)
    }

    fn reconciler(&self, running: &mut Running) {
        let config = upwrite_reconciler::Config {
            lock_timeout: self.config.lock_timeout,
            void_after: self.config.void_after,
            void_check: (self.config.void_after / 10).min(Duration::from_secs(5)),
            // Somebody empties it only then.
            outbox: matches!(self.config.engine, Engine::Kafka(_)),
            ..Default::default()
        };
        let progress = config.progress.subscribe();
        self.tells(Stage::Reconciler, move || json!(*progress.borrow()));
        let member = self.group("reconciler", self.log.events.partitions(), &self.stops.reconciler);
        let member = self.observed.readiness.reconciler(member, config.progress.subscribe());
        let ends = upwrite_reconciler::run(
            config,
            connect::reconciler(&self.config.postgres),
            self.log.events.clone(),
            member,
            self.log.notifier.clone(),
            self.stops.reconciler.clone(),
        );
        running.spawn(Stage::Reconciler, async move { Ok(ends.await?) });
    }

    /// Beside the reconciler: puts what it writes into the topics of records.
    fn publisher(&self, running: &mut Running) {
        let LogEngine::Kafka(kafka) = connect::engine(self.config) else { return };
        let pool = connect::service_pool(&self.config.postgres, "upwrite publisher", 4);
        let options = self.pool.connect_options().as_ref().clone();
        let group = GroupConfig { session_timeout: self.config.session_timeout, ..GroupConfig::default() };
        let readiness = Arc::clone(&self.observed.readiness);
        let join = move |items, stop: &CancellationToken| {
            let member = PgMembership::join(options.clone(), "publisher", items, group, stop.clone());
            readiness.member("publisher", Box::new(member))
        };
        running.spawn(Stage::Reconciler, publisher::run(kafka, pool, join, self.stops.reconciler.clone()));
    }

    fn applier(&self, running: &mut Running) {
        let (tell, status) = watch::channel(upwrite_applier::ApplierStatus::default());
        self.tells(Stage::Applier, move || json!(*status.borrow()));
        let config = upwrite_applier::Config {
            status: Some(tell),
            lease: self.config.lease,
            deadline: self.config.max_age,
            grace: self.config.grace,
            ..Default::default()
        };
        let ends = upwrite_applier::run(
            config,
            self.log.events.clone(),
            self.group("applier", self.log.events.partitions(), &self.stops.workers),
            self.pool.clone(),
            self.connectors.clone(),
            self.observed.budgets.clone(),
            self.stops.workers.clone(),
        );
        running.spawn(Stage::Applier, async move { Ok(ends.await?) });
    }

    fn syncer(&self, running: &mut Running) {
        let sources = u16::try_from(self.connectors.len()).unwrap_or(u16::MAX);
        let ends = upwrite_syncer::run(
            upwrite_syncer::Config::default(),
            self.pool.clone(),
            self.log.events.clone(),
            self.group("syncer", sources, &self.stops.workers),
            self.connectors.clone(),
            self.stops.workers.clone(),
        );
        running.spawn(Stage::Syncer, async move { Ok(ends.await?) });
    }

    async fn control(&self, running: &mut Running) -> anyhow::Result<()> {
        let Some(settings) = &self.config.control else { return Ok(()) };
        let tls = match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => {
                let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
                Some(upwrite_control::TlsPem { certificate: read(certificate)?, key: read(key)? })
            }
            _ => None,
        };
        let config = upwrite_control::Config {
            listen: settings.listen,
            token: settings.token.as_ref().map(|token| upwrite_control::Token::new(token.expose())),
            tls,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let server = upwrite_control::Server::bind(config).await?;
        tracing::info!(listen = %settings.listen, tls = settings.tls_key.is_some(), "the control API listens");
        let operations = Arc::new(crate::operations::FromLog {
            config: self.config.clone(),
            pool: self.pool.clone(),
            log: self.log.events.clone(),
        });
        let ends = server.serve(self.pool.clone(), self.log.events.clone(), operations, self.stops.workers.clone());
        running.spawn(Stage::Control, async move { Ok(ends.await?) });
        Ok(())
    }

    /// The token is cancelled once clients can log in.
    async fn proxy(&self, stages: &[Stage], running: &mut Running) -> anyhow::Result<CancellationToken> {
        let config = self.config;
        let settings = upwrite_proxy::Config {
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
        };
        let control = connect::service_pool(&config.postgres, "upwrite proxy", 8);
        let mut proxy = upwrite_proxy::Proxy::bind(settings, control, self.log.events.clone())
            .await
            .with_context(|| format!("the proxy cannot listen on {}", config.proxy.listen))?;
        if stages.contains(&Stage::Reconciler) {
            // In one process: verdicts need not travel through Postgres.
            proxy.hear(self.log.notifier.subscribe());
        }
        let activity = proxy.activity();
        self.tells(Stage::Proxy, move || json!({ "clients": activity.clients(), "held": activity.held() }));
        let (stop, opened) = (self.stops.proxy.clone(), proxy.opened());
        self.observed.readiness.proxy(opened.clone(), stop.clone());
        running.spawn(Stage::Proxy, async move {
            proxy.serve(stop).await;
            Ok(())
        });
        Ok(opened)
    }
}
