//! Starting: each stage with its settings, in the order of need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::{Budget, Connector};
use upwrite_event_log::{Engine as LogEngine, GroupConfig, Membership, PgMembership};

use super::log::Log;
use super::stops::{Running, Stops};
use super::{budgets, heartbeat, publisher, settings};
use crate::config::Config;
use crate::connect;
use crate::observe::Readiness;
use crate::stage::Stage;

/// What starting the stages takes.
pub(super) struct Start<'a> {
    config: &'a Config,
    stages: &'a [Stage],
    pool: &'a PgPool,
    log: &'a Log,
    readiness: &'a Arc<Readiness>,
    stops: &'a Stops,
    /// By source; empty where no stage calls upstream.
    connectors: HashMap<String, Arc<dyn Connector>>,
    budgets: HashMap<String, Budget>,
    reports: Mutex<Vec<(Stage, heartbeat::Report)>>,
}

impl<'a> Start<'a> {
    pub(super) fn new(
        config: &'a Config,
        stages: &'a [Stage],
        pool: &'a PgPool,
        log: &'a Log,
        readiness: &'a Arc<Readiness>,
        stops: &'a Stops,
        budgets: HashMap<String, Budget>,
    ) -> anyhow::Result<Self> {
        let calls = stages.iter().any(|stage| matches!(stage, Stage::Applier | Stage::Syncer));
        let connectors = if calls { connect::upstreams::connectors(config, &budgets)? } else { HashMap::new() };
        if calls {
            budgets::share(&budgets, pool, &stops.log);
        }
        Ok(Self { config, stages, pool, log, readiness, stops, connectors, budgets, reports: Mutex::default() })
    }

    /// Starts the stages. Each of the tokens is cancelled once its stage is ready.
    pub(super) async fn run(self, running: &mut Running) -> anyhow::Result<Vec<CancellationToken>> {
        let mut opened = Vec::new();
        // What the others need comes first: a client that the proxy lets in is to get its answer.
        for stage in [Stage::Reconciler, Stage::Applier, Stage::Syncer, Stage::Control, Stage::Proxy] {
            if !self.stages.contains(&stage) {
                continue;
            }
            match stage {
                Stage::Reconciler => {
                    self.reconciler(running);
                    self.publisher(running);
                }
                Stage::Applier => self.applier(running),
                Stage::Syncer => self.syncer(running)?,
                Stage::Control => self.control(running).await?,
                Stage::Proxy => opened.push(self.proxy(running).await?),
            }
            self.readiness.runs(stage);
        }
        let reports = self.reports.into_inner().unwrap_or_else(PoisonError::into_inner);
        let beat = heartbeat::keep(self.pool.clone(), self.stages.to_vec(), reports, self.stops.log.clone());
        running.farewell(tokio::spawn(beat));
        Ok(opened)
    }

    /// What the stage says of itself in `upwrite.processes`.
    fn reports(&self, stage: Stage, report: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push((stage, Box::new(report)));
    }

    /// A member of the group of processes that run the same stage.
    fn group(&self, name: &'static str, items: u16, stop: &CancellationToken) -> Box<dyn Membership> {
        let (options, group) = self.membership();
        let member = PgMembership::join(options, name, items, group, stop.clone());
        self.readiness.member(name, Box::new(member))
    }

    /// How this process belongs to groups.
    fn membership(&self) -> (PgConnectOptions, GroupConfig) {
        (self.pool.connect_options().as_ref().clone(), settings::group(self.config))
    }

    fn reconciler(&self, running: &mut Running) {
        let config = settings::reconciler(self.config);
        let progress = config.progress.subscribe();
        self.reports(Stage::Reconciler, move || json!(*progress.borrow()));
        let member = self.group("reconciler", self.log.events.partitions(), &self.stops.reconciler);
        let member = self.readiness.reconciler(member, config.progress.subscribe());
        let ends = upwrite_reconciler::run(
            config,
            connect::postgres::reconciler_options(&self.config.postgres),
            self.log.events.clone(),
            member,
            self.log.notifier.clone(),
            self.stops.reconciler.clone(),
        );
        running.spawn(Stage::Reconciler, async move { Ok(ends.await?) });
    }

    /// Beside the reconciler: puts what it writes into the topics of records.
    fn publisher(&self, running: &mut Running) {
        let LogEngine::Kafka(kafka) = connect::log::engine(self.config) else { return };
        let pool = connect::postgres::service_pool(&self.config.postgres, "upwrite publisher", 4);
        let options = self.pool.connect_options().as_ref().clone();
        let (group, readiness) = (settings::group(self.config), Arc::clone(self.readiness));
        let join = move |items, stop: &CancellationToken| {
            let member = PgMembership::join(options.clone(), "publisher", items, group, stop.clone());
            readiness.member("publisher", Box::new(member))
        };
        running.spawn(Stage::Reconciler, publisher::run(kafka, pool, join, self.stops.reconciler.clone()));
    }

    fn applier(&self, running: &mut Running) {
        let (report, status) = watch::channel(upwrite_applier::ApplierStatus::default());
        self.reports(Stage::Applier, move || json!(*status.borrow()));
        let config = upwrite_applier::Config { status: Some(report), ..settings::applier(self.config) };
        let ends = upwrite_applier::run(
            config,
            self.log.events.clone(),
            self.group("applier", self.log.events.partitions(), &self.stops.workers),
            self.pool.clone(),
            self.connectors.clone(),
            self.budgets.clone(),
            self.stops.workers.clone(),
        );
        running.spawn(Stage::Applier, async move { Ok(ends.await?) });
    }

    /// # Errors
    /// If two sources cannot share a group.
    fn syncer(&self, running: &mut Running) -> anyhow::Result<()> {
        let (options, config) = self.membership();
        let sources = self.connectors.keys().cloned();
        let member = PgMembership::join_named(options, "syncer", sources, config, self.stops.workers.clone())?;
        let ends = upwrite_syncer::run(
            upwrite_syncer::Config::default(),
            self.pool.clone(),
            self.log.events.clone(),
            self.readiness.member("syncer", Box::new(member)),
            self.connectors.clone(),
            self.stops.workers.clone(),
        );
        running.spawn(Stage::Syncer, async move { Ok(ends.await?) });
        Ok(())
    }

    async fn control(&self, running: &mut Running) -> anyhow::Result<()> {
        let Some(control) = &self.config.control else { return Ok(()) };
        let config = settings::control(control)?;
        let server = upwrite_control::Server::bind(config).await?;
        tracing::info!(listen = %control.listen, tls = control.tls_key.is_some(), "the control API listens");
        let operations = Arc::new(crate::operations::LogOperations {
            config: self.config.clone(),
            pool: self.pool.clone(),
            log: self.log.events.clone(),
        });
        let ends = server.serve(self.pool.clone(), self.log.events.clone(), operations, self.stops.workers.clone());
        running.spawn(Stage::Control, async move { Ok(ends.await?) });
        Ok(())
    }

    /// The token is cancelled once clients can log in.
    async fn proxy(&self, running: &mut Running) -> anyhow::Result<CancellationToken> {
        let config = self.config;
        let control = connect::postgres::service_pool(&config.postgres, "upwrite proxy", 8);
        let mut proxy = upwrite_proxy::Proxy::bind(settings::proxy(config), control, self.log.events.clone())
            .await
            .with_context(|| format!("the proxy cannot listen on {}", config.proxy.listen))?;
        if self.stages.contains(&Stage::Reconciler) {
            // In one process: verdicts need not travel through Postgres.
            proxy.hear(self.log.notifier.subscribe());
        }
        let activity = proxy.activity();
        self.reports(Stage::Proxy, move || json!({ "clients": activity.clients(), "held": activity.held() }));
        let (stop, opened) = (self.stops.proxy.clone(), proxy.opened());
        self.readiness.proxy(opened.clone(), stop.clone());
        running.spawn(Stage::Proxy, async move {
            proxy.serve(stop).await;
            Ok(())
        });
        Ok(opened)
    }
}
