//! The log, opened; and whether it and the database are the ones that belong together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use upwrite_event_log::{EventLog, LogError, Measured, Notifier};

use super::stops::Stops;
use crate::config::Config;
use crate::connect;
use crate::setup::mismatches;
use crate::stage::Stage;

/// What every stage gets.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) events: Arc<dyn EventLog>,
    pub(super) notifier: Notifier,
}

/// Opens the log. A process that is nothing but the control API also starts where database and log do not belong
/// together, to recover them. Postgres or the brokers may be away, then it is tried again and again, and said so.
pub(super) async fn open(config: &Config, stages: &[Stage], pool: &PgPool, stops: &Stops) -> anyhow::Result<Log> {
    let notifier = Notifier::start(pool, stops.log.clone());
    let mut pause = Duration::from_millis(200);
    loop {
        match try_open(config, stages, pool, &notifier, stops).await? {
            Ok(log) => return Ok(log),
            Err(away) => {
                tracing::warn!(reason = away, again_in = ?pause, "Postgres or the log is away");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// The inner error passes by itself.
async fn try_open(
    config: &Config,
    stages: &[Stage],
    pool: &PgPool,
    notifier: &Notifier,
    stops: &Stops,
) -> anyhow::Result<Result<Log, String>> {
    let binding = match connect::log::binding(config).await {
        Ok(binding) => binding,
        Err(away) => return Ok(Err(away.to_string())),
    };
    match mismatches(pool, &binding, config.partitions).await {
        Ok(Some(found)) if found.is_empty() => {}
        Ok(Some(found)) if stages == [Stage::Control] => {
            tracing::error!(
                "this database and this log do not belong together; only `upwrite ctl recover` will do: {}",
                found.join("; ")
            );
        }
        Ok(Some(found)) => anyhow::bail!(
            "this database and this log do not belong together:\n  {}\nNothing is read or written before that is \
             settled. If it is what you want, stop all stages, start `upwrite control`, and `upwrite ctl recover` takes stock \
             and goes on from there.",
            found.join("\n  ")
        ),
        Ok(None) => anyhow::bail!("the database was never set up: run `upwrite setup` first"),
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "42703" | "3F000")) => {
            return Err(anyhow::Error::new(error)).context("the database is not ready: run `upwrite setup` first");
        }
        Err(away) => return Ok(Err(away.to_string())),
    }
    let engine = connect::log::engine(config);
    let engine = if stages == [Stage::Control] { engine.whatever_it_was_bound_to() } else { engine };
    match upwrite_event_log::open(engine, pool.clone(), notifier.clone(), stops.log.clone()).await {
        Ok(events) => Ok(Ok(Log { notifier: notifier.clone(), events: Measured::of(events) })),
        Err(error @ (LogError::Mismatch(_) | LogError::Newer(_))) => {
            Err(error).context("the log cannot be used as it is")
        }
        Err(away) => Ok(Err(away.to_string())),
    }
}
