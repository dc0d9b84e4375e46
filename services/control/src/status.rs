//! One look at everything.

mod ends;
mod judge;
mod load;
mod processes;

use std::time::Duration;

use sqlx::PgPool;
use tonic::Status;
use upwrite_event_log::EventLog;

use crate::mutations::refused;
use crate::v1;

/// How long Postgres may take for one look.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is there now, and what is wrong with it.
pub(crate) async fn status(pool: &PgPool, log: &dyn EventLog, version: &str) -> Result<v1::StatusResponse, Status> {
    let loaded = tokio::time::timeout(PATIENCE, load::load(pool)).await;
    let (mut status, members) = match loaded {
        Ok(loaded) => loaded.map_err(|error| refused(&error))?,
        Err(_) => return Err(Status::unavailable(format!("Postgres did not answer within {} s", PATIENCE.as_secs()))),
    };
    if let Some(binding) = &mut status.binding {
        binding.version = version.to_owned();
    }
    ends::fill(log, &mut status.partitions).await;
    processes::fill(&mut status, &members);
    judge::judge(&mut status);
    Ok(status)
}
