//! Handing submissions to the log, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, LogError, Notice, Submitted};
use upwrite_events::{Event, MutationId, MutationOutlivedRollback, Partition, unix_us};
use uuid::Uuid;

use super::duplicate::claim_of;
use super::registry::HoldRegistry;
use super::verdict_wait::{Hold, StatusWatch};
use super::{ClaimWait, WaitLimits, statuses};
use crate::catalog::Catalog;
use crate::error::PgError;
use crate::measure;
use crate::planning::Plan;
use crate::verdict::{self, About};

/// Cheap handle. One task per process listens for verdicts and reads the status of held mutations.
#[derive(Clone)]
pub struct Submitter {
    registry: Arc<HoldRegistry>,
}

/// What became of a submission.
#[derive(Debug)]
pub enum SubmitResult {
    /// Durable in the log: wait for its verdict.
    Accepted(Hold),
    /// A record was claimed and is free now, or it was changed: run the statement dry again.
    RunAgain,
}

impl Submitter {
    /// Starts the task, which ends with `shutdown`. `pool` logs in as `upwrite_service`.
    pub fn start(log: Arc<dyn EventLog>, pool: PgPool, shutdown: CancellationToken) -> Self {
        let registry = HoldRegistry::new(log, pool);
        tokio::spawn(statuses::run(registry.clone(), shutdown));
        Self { registry }
    }

    /// Hears the notifier of the process's own log and reconciler too ([`upwrite_event_log::Notifier::subscribe`]): sooner
    /// than by way of Postgres. Until shutdown.
    pub fn hear(&self, notices: broadcast::Receiver<Notice>, shutdown: CancellationToken) {
        tokio::spawn(statuses::hear(self.registry.clone(), notices, shutdown));
    }

    /// How many mutations are held.
    pub(crate) fn held(&self) -> usize {
        self.registry.state().held.len()
    }

    /// How many statements wait for a claimed record.
    pub(crate) fn waiting(&self) -> usize {
        self.registry.state().queues.len()
    }

    /// Claims and appends. Waits for records that others have claimed, with nothing claimed itself. An error means that
    /// nothing was sent, unless it is 40003. The wait honours `lock_timeout` (55P03), the others end it with 57014.
    pub async fn submit(
        &self,
        plan: &Plan,
        wait: &mut ClaimWait,
        limits: &WaitLimits,
    ) -> Result<SubmitResult, PgError> {
        let result = self.try_submit(plan, wait, limits).await;
        if result.is_err() {
            wait.leave();
        }
        result
    }

    async fn try_submit(
        &self,
        plan: &Plan,
        wait: &mut ClaimWait,
        limits: &WaitLimits,
    ) -> Result<SubmitResult, PgError> {
        if let Some(cause) = limits.over() {
            return Err(verdict::withdrawn(cause, None));
        }
        // A later statement does not overtake those that wait already.
        if !wait.is_queued() {
            let occupied = self.registry.state().queues.occupied(&plan.claims).cloned();
            if let Some(claim) = occupied {
                measure::rerun("claimed");
                wait.join(&self.registry, &claim, None);
                wait.wait(limits).await?;
                return Ok(SubmitResult::RunAgain);
            }
        }
        let Some(first) = plan.rows.first() else {
            return Err(PgError::error("XX000", "a mutation without rows"));
        };
        let about =
            About { mutation: MutationId(Uuid::now_v7()), table: first.table.clone(), ack: plan.settings.upwrite.ack };
        // Before the append, so that its verdict cannot be missed.
        let status = StatusWatch::new(&self.registry, about.mutation);
        match self.registry.log.submit(plan.submission(about.mutation, unix_us(SystemTime::now()))).await {
            Ok(Submitted::Accepted { partition, .. }) => {
                wait.accepted(about.mutation);
                Ok(SubmitResult::Accepted(Hold::new(status, about, partition)))
            }
            Ok(Submitted::Claimed { claim, by }) => {
                drop(status);
                measure::rerun("claimed");
                wait.join(&self.registry, &claim, Some(by));
                wait.wait(limits).await?;
                Ok(SubmitResult::RunAgain)
            }
            Ok(Submitted::Stale) => {
                measure::rerun("stale");
                Ok(SubmitResult::RunAgain)
            }
            Err(error) => Err(refused(about.mutation, &error)),
        }
    }

    /// For a dry run that failed with 23505: if the record that was in the way is claimed by an unfinished mutation, waits for
    /// it and returns true (run again); false: the error stands.
    pub async fn wait_if_claimed(
        &self,
        error: &PgError,
        catalog: &Catalog,
        wait: &mut ClaimWait,
        limits: &WaitLimits,
    ) -> Result<bool, PgError> {
        let Some(claim) = claim_of(error, catalog) else { return Ok(false) };
        let by: Result<Option<Uuid>, sqlx::Error> = sqlx::query_scalar(
            "/* proxy.claimed */ select mutation from upwrite.claims where source = $1 and table_name = $2 and key = $3",
        )
        .bind(&claim.table.source)
        .bind(&claim.table.table)
        .bind(&claim.key.0)
        .fetch_optional(&self.registry.pool)
        .await;
        match by {
            Ok(Some(by)) => {
                measure::rerun("duplicate");
                wait.join(&self.registry, &claim, Some(MutationId(by)));
                wait.wait(limits).await?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                // Whether the duplicate will go away cannot be found out now, so the error stands.
                tracing::warn!(%error, "claims cannot be read");
                Ok(false)
            }
        }
    }

    /// Records that the client's transaction rolled back after these mutations had been sent, and returns the WARNING for
    /// the client; `None` if there were none. `reason`: `rollback`, `rollback to savepoint`, `connection ended`, `commit
    /// failed`.
    pub async fn outlived_rollback(&self, mutations: &[(MutationId, Partition)], reason: &str) -> Option<PgError> {
        let mut events: BTreeMap<Partition, Vec<Event>> = BTreeMap::new();
        for (mutation, partition) in mutations {
            let event = MutationOutlivedRollback { mutation: *mutation, reason: reason.to_owned() };
            events.entry(*partition).or_default().push(Event::MutationOutlivedRollback(event));
        }
        for (partition, events) in events {
            if let Err(error) = self.registry.log.append(partition, events).await {
                tracing::error!(%partition, %error, "mutations that outlived their transaction could not be recorded");
            }
        }
        let ids: Vec<MutationId> = mutations.iter().map(|(mutation, _)| *mutation).collect();
        (!ids.is_empty()).then(|| verdict::outlived_rollback(&ids, reason))
    }
}

/// What the client reads when the log did not take a submission.
fn refused(mutation: MutationId, error: &LogError) -> PgError {
    tracing::warn!(%mutation, %error, "a mutation was not accepted by the log");
    measure::append_failed(error);
    match error {
        LogError::Unknown(_) => verdict::log_unanswered(mutation),
        LogError::TooLarge { bytes, limit } => verdict::too_large(*bytes, *limit),
        LogError::NotAppended(_) | LogError::Mismatch(_) | LogError::Unavailable(_) | LogError::Newer(_) => {
            verdict::log_refused(Some(mutation))
        }
    }
}
