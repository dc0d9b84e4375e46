//! All stages in one process: started in the order of need, stopped in the order of the data flow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::{Budget, Connector};
use upwrite_event_log::{EventLog, LogError, PostgresLog};

use crate::config::Config;
use crate::connect;
use crate::setup::{Severity, check};
use crate::signals::Signals;

/// Name of a stage and how it ended.
type Ended = (&'static str, anyhow::Result<()>);

/// Runs until a signal has drained everything, or a stage fails for good.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let connectors = connect::connectors(&config)?;
    let stops = Stops::default();
    let pool = connect::service_pool(&config.postgres, "upwrite log", 8);
    let log = tokio::select! {
        log = open_log(&pool, stops.log.clone()) => log?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before Postgres was there");
            return Ok(());
        }
    };
    report_findings(&pool).await?;
    let mut stages = JoinSet::new();
    start_workers(&config, &pool, &log, connectors, &stops, &mut stages);
    let opened = start_proxy(&config, &log, &stops, &mut stages).await?;
    let listen = config.proxy.listen;
    tokio::spawn(async move {
        opened.cancelled().await;
        tracing::info!(%listen, "ready");
    });

    let failure = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, grace = ?config.grace, "draining; a second signal ends the process at once");
            None
        }
        Some(ended) = stages.join_next() => Some(failure_of(ended)),
    };
    tokio::select! {
        () = drain(&stops, &mut stages, config.grace) => {}
        signal = signals.next() => {
            tracing::warn!(signal, "ended at once");
            std::process::exit(130);
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// What tells each stage to stop.
#[derive(Default)]
struct Stops {
    proxy: CancellationToken,
    workers: CancellationToken,
    reconciler: CancellationToken,
    log: CancellationToken,
}

/// Opens the log; Postgres may be away, then it is tried again and again, and said so.
async fn open_log(pool: &PgPool, stop: CancellationToken) -> anyhow::Result<Arc<PostgresLog>> {
    let mut pause = Duration::from_millis(200);
    loop {
        match PostgresLog::open(pool.clone(), upwrite_event_log::Config::default(), stop.clone()).await {
            Ok(log) => return Ok(log),
            Err(error @ LogError::Mismatch(_)) => {
                return Err(error).context("the database is not ready: run `upwrite setup` first");
            }
            Err(error) => {
                tracing::warn!(%error, again_in = ?pause, "Postgres is away");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// Says what is wrong with the database; stops where a promise would be broken.
async fn report_findings(pool: &PgPool) -> anyhow::Result<()> {
    let findings = check(pool).await.context("checking the database")?;
    let mut broken = 0;
    for finding in findings {
        match finding.severity {
            Severity::Error => {
                broken += 1;
                tracing::error!("{finding}");
            }
            Severity::Warning => tracing::warn!("{finding}"),
        }
    }
    anyhow::ensure!(
        broken == 0,
        "the database is not safe to work with ({broken} findings); `upwrite setup` mends most"
    );
    Ok(())
}

fn start_workers(
    config: &Config,
    pool: &PgPool,
    log: &Arc<PostgresLog>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    stops: &Stops,
    stages: &mut JoinSet<Ended>,
) {
    let shared = || -> Arc<dyn EventLog> { log.clone() };
    let reconciler = upwrite_reconciler::Config { lock_timeout: config.lock_timeout, ..Default::default() };
    let ends = upwrite_reconciler::run(
        reconciler,
        connect::reconciler(&config.postgres),
        shared(),
        log.notifier(),
        stops.reconciler.clone(),
    );
    stages.spawn(async move { ("reconciler", ends.await.map_err(Into::into)) });

    let budgets = budgets(config);
    let applier = upwrite_applier::Config {
        lease: config.lease,
        deadline: config.max_age,
        grace: config.grace,
        ..Default::default()
    };
    let ends = upwrite_applier::run(
        applier,
        shared(),
        pool.clone(),
        connectors.clone(),
        budgets.clone(),
        stops.workers.clone(),
    );
    stages.spawn(async move { ("applier", ends.await.map_err(Into::into)) });

    let ends = upwrite_syncer::run(
        upwrite_syncer::Config::default(),
        pool.clone(),
        shared(),
        connectors,
        budgets,
        stops.workers.clone(),
    );
    stages.spawn(async move { ("syncer", ends.await.map_err(Into::into)) });
}

fn budgets(config: &Config) -> HashMap<String, Budget> {
    let each = config.sources.iter().map(|source| match source {
        crate::config::Source::Salesforce(settings) => {
            (settings.source.clone(), Budget::new(settings.requests_per_second))
        }
    });
    each.collect()
}

/// The token is cancelled once clients can log in.
async fn start_proxy(
    config: &Config,
    log: &Arc<PostgresLog>,
    stops: &Stops,
    stages: &mut JoinSet<Ended>,
) -> anyhow::Result<CancellationToken> {
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
    let events: Arc<dyn EventLog> = log.clone();
    let mut proxy = upwrite_proxy::Proxy::bind(settings, control, events)
        .await
        .with_context(|| format!("the proxy cannot listen on {}", config.proxy.listen))?;
    // Stages in one process: verdicts need not travel through Postgres.
    proxy.hear(log.notifier().subscribe());
    let (stop, opened) = (stops.proxy.clone(), proxy.opened());
    stages.spawn(async move {
        proxy.serve(stop).await;
        ("proxy", Ok(()))
    });
    Ok(opened)
}

fn failure_of(ended: Result<Ended, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((stage, Ok(()))) => anyhow::anyhow!("the {stage} stopped by itself"),
        Ok((stage, Err(error))) => error.context(format!("the {stage} cannot go on")),
        Err(panic) => anyhow::Error::new(panic).context("a stage failed"),
    }
}

/// Clients first, so that held ones get their verdict from stages that still run; then what feeds the log; then what
/// reads it; the log itself last.
async fn drain(stops: &Stops, stages: &mut JoinSet<Ended>, grace: Duration) {
    let mut left = stages.len();
    for (stop, stays) in [(&stops.proxy, 3), (&stops.workers, 1), (&stops.reconciler, 0)] {
        stop.cancel();
        // Each stage keeps its own grace period; this one only guards against a stage that does not.
        let deadline = tokio::time::Instant::now() + grace + Duration::from_secs(5);
        while left > stays {
            match tokio::time::timeout_at(deadline, stages.join_next()).await {
                Ok(Some(ended)) => {
                    left -= 1;
                    if let Ok((stage, Err(error))) = ended {
                        tracing::warn!(stage, error = %format!("{error:#}"), "ended with an error");
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!("a stage did not stop in time");
                    break;
                }
            }
        }
    }
    stops.log.cancel();
}
