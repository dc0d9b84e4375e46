//! The life of a process that runs one stage or several: started in the order of need, stopped in the order of the
//! data flow.

mod budgets;
mod heartbeat;
mod log;
mod publisher;
mod settings;
mod start;
mod stops;

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;

use crate::config::Config;
use crate::connect;
use crate::observe;
use crate::setup::{Severity, check};
use crate::signals::Signals;
use crate::stage::Stage;
use start::Start;
use stops::{Running, Stops};

/// Runs until a signal has drained everything, or a stage fails for good.
pub(crate) async fn run(config: Config, stages: Vec<Stage>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let stops = Stops::default();
    let pool = connect::postgres::service_pool(&config.postgres, "upwrite log", 8);
    let budgets = upwrite_connectors::budgets(&config.sources);
    let readiness = observe::begin(&config.observe, &stages, &budgets, stops.log.clone()).await?;
    readiness.postgres(pool.clone());
    let log = tokio::select! {
        log = log::open(&config, &stages, &pool, &stops) => log?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before Postgres and the log were there");
            return Ok(());
        }
    };
    tokio::select! {
        reported = report_findings(&pool) => reported?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the database could be checked");
            return Ok(());
        }
    }
    let mut running = Running::default();
    readiness.log(log.events.clone());
    let start = Start::new(&config, &stages, &pool, &log, &readiness, &stops, budgets)?;
    let opened = start.run(&mut running).await?;
    tokio::spawn(async move {
        for one in opened {
            one.cancelled().await;
        }
        let stages: Vec<_> = stages.iter().map(|stage| stage.as_str()).collect();
        tracing::info!(stages = stages.join(","), "ready");
    });

    let failure = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, grace = ?config.grace, "draining; a second signal ends the process at once");
            None
        }
        failure = running.first_ended() => Some(failure),
    };
    tokio::select! {
        () = running.drain(&stops, config.grace) => {}
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

/// Between tries while Postgres is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Postgres starts, stops or was killed.
fn passes(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("57P"))
}

/// Says what is wrong with the database, once it can be asked; stops where a promise would be broken.
async fn report_findings(pool: &PgPool) -> anyhow::Result<()> {
    let findings = loop {
        match check(pool).await {
            Ok(findings) => break findings,
            Err(error @ sqlx::Error::Database(_)) if !passes(&error) => {
                return Err(error).context("checking the database");
            }
            Err(error) => {
                tracing::warn!(%error, again_in = ?PAUSE, "the database cannot be checked yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
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
