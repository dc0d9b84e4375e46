//! The submitter's task: listens for verdicts and reads the status of held mutations.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{MutationStatus, Notice, OVERFLOW, VERDICT_CHANNEL};
use upwrite_events::{Lifecycle, MutationId, STATUS_POLL};
use uuid::Uuid;

use super::registry::HoldRegistry;
use crate::verdict::Status;

/// Between attempts to listen.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until shutdown.
pub(super) async fn run(registry: Arc<HoldRegistry>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = listen(&registry) => {}
        () = read(&registry) => {}
    }
}

/// Marks as due what notifications name, and everything whenever one may have been lost.
async fn listen(registry: &HoldRegistry) {
    loop {
        if let Err(error) = listen_once(registry).await {
            tracing::warn!(%error, "verdicts cannot be listened for; their status is read every second");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(registry: &HoldRegistry) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&registry.pool).await?;
    listener.listen(VERDICT_CHANNEL).await?;
    loop {
        registry.read_all_soon();
        // `None`: the connection was lost and made again.
        while let Some(notification) = listener.try_recv().await? {
            mark_due(registry, notification.payload());
        }
    }
}

/// Items of a notification: ids, or the one that stands for more than could be named.
fn mark_due(registry: &HoldRegistry, items: &str) {
    if items.split_ascii_whitespace().any(|item| item == OVERFLOW) {
        registry.read_all_soon();
    }
    registry.read_soon(items.split_ascii_whitespace().filter_map(|id| id.parse::<MutationId>().ok()));
}

/// Hears the process's own notifier, which is faster than Postgres.
pub(super) async fn hear(
    registry: Arc<HoldRegistry>,
    mut notices: broadcast::Receiver<Notice>,
    shutdown: CancellationToken,
) {
    loop {
        let notice = tokio::select! {
            () = shutdown.cancelled() => return,
            notice = notices.recv() => notice,
        };
        match notice {
            Ok(Notice { status: Some(status), .. }) => distribute(&registry, vec![StatusReport::of(&status)]),
            Ok(notice) if &*notice.channel == VERDICT_CHANNEL => mark_due(&registry, &notice.item),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => registry.read_all_soon(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Reads what is due, all of it in one query; everything once a second. What becomes due meanwhile is the next batch.
async fn read(registry: &HoldRegistry) {
    let mut ticks = tokio::time::interval(STATUS_POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = registry.due.notified() => {}
            _ = ticks.tick() => registry.read_all_soon(),
        }
        let due: Vec<Uuid> = registry.state().due.drain().map(|mutation| mutation.0).collect();
        if due.is_empty() {
            continue;
        }
        match statuses(registry, &due).await {
            Ok(statuses) => distribute(registry, statuses),
            // The next tick asks again.
            Err(error) => tracing::warn!(%error, held = due.len(), "the status of held mutations cannot be read"),
        }
    }
}

struct StatusReport {
    mutation: MutationId,
    /// `None`: the projection does not know it yet.
    status: Option<Status>,
    claimed: bool,
}

impl StatusReport {
    fn of(status: &MutationStatus) -> Self {
        let known = Status { lifecycle: status.lifecycle.clone(), finished: status.finished };
        Self { mutation: status.mutation, status: Some(known), claimed: !status.released }
    }
}

async fn statuses(registry: &HoldRegistry, due: &[Uuid]) -> Result<Vec<StatusReport>, sqlx::Error> {
    let rows: Vec<(Uuid, Option<serde_json::Value>, bool, bool)> = sqlx::query_as(
        "/* proxy.statuses */
         select i.id, m.lifecycle, m.finished_at is not null,
                exists (select from upwrite.claims c where c.mutation = i.id)
           from unnest($1::uuid[]) as i (id) left join upwrite.mutations m on m.id = i.id",
    )
    .bind(due)
    .fetch_all(&registry.pool)
    .await?;
    let reports = rows.into_iter().map(|(id, lifecycle, finished, claimed)| {
        let lifecycle = lifecycle.and_then(|json| match serde_json::from_value::<Lifecycle>(json) {
            Ok(lifecycle) => Some(lifecycle),
            Err(error) => {
                tracing::error!(mutation = %id, %error, "the lifecycle of a mutation is not understood");
                None
            }
        });
        let status = lifecycle.map(|lifecycle| Status { lifecycle, finished });
        StatusReport { mutation: MutationId(id), status, claimed }
    });
    Ok(reports.collect())
}

fn distribute(registry: &HoldRegistry, reports: Vec<StatusReport>) {
    let mut state = registry.state();
    let mut released = HashSet::new();
    for StatusReport { mutation, status, claimed } in reports {
        if !claimed {
            released.insert(mutation);
        }
        if let (Some(status), Some(watch)) = (status, state.held.get(&mutation)) {
            watch.send_if_modified(|known| {
                // A status that was read before a newer one came is dropped.
                let is_newer = known.as_deref().is_none_or(|known| *known != status && !status.precedes(known));
                if is_newer {
                    *known = Some(Arc::new(status));
                }
                is_newer
            });
        }
    }
    state.queues.released(&released);
}
