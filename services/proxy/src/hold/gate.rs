//! The process's one gate to the log.

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
use super::held::{Held, Waiter};
use super::shared::Shared;
use super::{Limits, Turn, news};
use crate::capture::Plan;
use crate::catalog::Catalog;
use crate::error::PgError;
use crate::measure;
use crate::verdict::{self, About};

/// Cheap handle. One task per process listens for verdicts and reads the status of what is held.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
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
        let shared = Shared::new(log, pool);
        tokio::spawn(news::run(shared.clone(), shutdown));
        Self { shared }
    }

    /// Hears the notifier of the process's own log and reconciler too ([`upwrite_event_log::Notifier::subscribe`]): sooner
    /// than by way of Postgres. Until shutdown.
    pub fn hear(&self, notices: broadcast::Receiver<Notice>, shutdown: CancellationToken) {
        tokio::spawn(news::hear(self.shared.clone(), notices, shutdown));
    }

    /// How many mutations are held.
    pub(crate) fn held(&self) -> usize {
        self.shared.state().held.len()
    }

    /// Claims and appends, waiting for records that are claimed by others (with nothing claimed). An error means that
    /// nothing was sent, unless it is 40003. The wait honours `lock_timeout` (55P03), the others end it with 57014.
    pub async fn submit(&self, plan: &Plan, turn: &mut Turn, limits: &Limits) -> Result<Submit, PgError> {
        let answer = self.try_submit(plan, turn, limits).await;
        if answer.is_err() {
            turn.leave();
        }
        answer
    }

    async fn try_submit(&self, plan: &Plan, turn: &mut Turn, limits: &Limits) -> Result<Submit, PgError> {
        if let Some(cause) = limits.over() {
            return Err(verdict::withdrawn(cause, None));
        }
        // Who comes later does not overtake those that wait already.
        if !turn.has_place() {
            let occupied = self.shared.state().queues.occupied(&plan.claims).cloned();
            if let Some(claim) = occupied {
                measure::rerun("claimed");
                turn.queue(&self.shared, &claim, None);
                turn.wait(limits).await?;
                return Ok(Submit::RunAgain);
            }
        }
        let Some(first) = plan.rows.first() else {
            return Err(PgError::error("XX000", "a mutation without rows"));
        };
        let about =
            About { mutation: MutationId(Uuid::now_v7()), table: first.table.clone(), ack: plan.session.settings.ack };
        // Before the append: its verdict cannot come unheard.
        let waiter = Waiter::new(&self.shared, about.mutation);
        match self.shared.log.submit(plan.submission(about.mutation, unix_us(SystemTime::now()))).await {
            Ok(Submitted::Accepted { partition, .. }) => {
                turn.accepted(about.mutation);
                Ok(Submit::Accepted(Held::new(waiter, about, partition)))
            }
            Ok(Submitted::Claimed { claim, by }) => {
                drop(waiter);
                measure::rerun("claimed");
                turn.queue(&self.shared, &claim, Some(by));
                turn.wait(limits).await?;
                Ok(Submit::RunAgain)
            }
            Ok(Submitted::Stale) => {
                measure::rerun("stale");
                Ok(Submit::RunAgain)
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
        turn: &mut Turn,
        limits: &Limits,
    ) -> Result<bool, PgError> {
        let Some(claim) = claim_of(error, catalog) else { return Ok(false) };
        let by: Result<Option<Uuid>, sqlx::Error> = sqlx::query_scalar(
            "/* proxy.claimed */ select mutation from upwrite.claims where source = $1 and table_name = $2 and key = $3",
        )
        .bind(&claim.table.source)
        .bind(&claim.table.table)
        .bind(&claim.key.0)
        .fetch_optional(&self.shared.pool)
        .await;
        match by {
            Ok(Some(by)) => {
                measure::rerun("duplicate");
                turn.queue(&self.shared, &claim, Some(MutationId(by)));
                turn.wait(limits).await?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                // The duplicate is what Postgres said; that it may go away cannot be found out now.
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
            if let Err(error) = self.shared.log.append(partition, events).await {
                tracing::error!(%partition, %error, "mutations that outlived their transaction could not be recorded");
            }
        }
        let ids: Vec<MutationId> = mutations.iter().map(|(mutation, _)| *mutation).collect();
        (!ids.is_empty()).then(|| verdict::outlived_rollback(&ids, reason))
    }
}

/// What a submission that the log did not answer means for the client.
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
