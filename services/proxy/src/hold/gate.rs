//! The process's one gate to the log.

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::EventLog;
use upwrite_events::{MutationId, Partition};

use super::{Held, Limits};
use crate::capture::Plan;
use crate::error::PgError;

/// Cheap handle. One task per process listens for verdicts and reads the status of what is held.
#[derive(Clone)]
pub struct Gate {
    log: Arc<dyn EventLog>,
}

/// A statement's place in the queues for claimed records. Made with `Turn::default()` when the statement begins, kept
/// over all its dry runs, dropped when the statement ends: dropping it lets the next one go.
#[derive(Debug, Default)]
pub struct Turn {
    _place: (),
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submit {
    /// Durable in the log: wait for its verdict.
    Accepted(Held),
    /// A record was claimed or changed by others, which is over: run the statement dry again.
    RunAgain,
}

impl Gate {
    /// Starts the task, which ends with `shutdown`. `pool` logs in as `upwrite_service`.
    pub fn start(log: Arc<dyn EventLog>, pool: PgPool, shutdown: CancellationToken) -> Self {
        let _ = (pool, shutdown);
        Self { log }
    }

    /// Claims and appends, waiting for records that are claimed by others (with nothing claimed). An error means that
    /// nothing was sent, unless it is 40003. The wait honours `lock_timeout` (55P03), the others end it with 57014.
    pub async fn submit(&self, plan: &Plan, turn: &mut Turn, limits: &Limits) -> Result<Submit, PgError> {
        let _ = (plan, turn, limits, &self.log);
        Err(PgError::error("0A000", "not built yet"))
    }

    /// For a dry run that failed with 23505: if the record that was in the way is claimed by an unfinished mutation, waits for
    /// it and returns true (run again); false: the error stands.
    pub async fn wait_if_claimed(&self, error: &PgError, turn: &mut Turn, limits: &Limits) -> Result<bool, PgError> {
        let _ = (error, turn, limits);
        Ok(false)
    }

    /// Records that the client's transaction rolled back after these mutations had been sent, and returns the WARNING for
    /// the client. `reason`: `rollback`, `rollback to savepoint`, `connection ended`, `commit failed`.
    pub async fn outlived_rollback(&self, mutations: &[(MutationId, Partition)], reason: &str) -> Option<PgError> {
        let _ = (mutations, reason);
        None
    }
}
