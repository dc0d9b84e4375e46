//! The gate's task: listens for verdicts and reads the status of what is waited for.

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

use super::shared::Shared;
use crate::verdict::Status;

/// Between attempts to listen.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until shutdown.
pub(super) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = listen(&shared) => {}
        () = read(&shared) => {}
    }
}

/// Marks as due what notifications name; everything, whenever some may have been lost.
async fn listen(shared: &Shared) {
    loop {
        if let Err(error) = listen_once(shared).await {
            tracing::warn!(%error, "verdicts cannot be listened for; their status is read every second");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(shared: &Shared) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&shared.pool).await?;
    listener.listen(VERDICT_CHANNEL).await?;
    loop {
        shared.read_all_soon();
        // `None`: the connection was lost and made anew.
        while let Some(notification) = listener.try_recv().await? {
            heard(shared, notification.payload());
        }
    }
}

/// Items of a notification: ids, or the one that stands for more than could be named.
fn heard(shared: &Shared, items: &str) {
    if items.split_ascii_whitespace().any(|item| item == OVERFLOW) {
        shared.read_all_soon();
    }
    shared.read_soon(items.split_ascii_whitespace().filter_map(|id| id.parse::<MutationId>().ok()));
}

/// Hears the process's own notifier, which is sooner than by way of Postgres.
pub(super) async fn hear(shared: Arc<Shared>, mut notices: broadcast::Receiver<Notice>, shutdown: CancellationToken) {
    loop {
        let notice = tokio::select! {
            () = shutdown.cancelled() => return,
            notice = notices.recv() => notice,
        };
        match notice {
            Ok(Notice { status: Some(status), .. }) => tell(&shared, vec![News::of(&status)]),
            Ok(notice) if &*notice.channel == VERDICT_CHANNEL => heard(&shared, &notice.item),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => shared.read_all_soon(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Reads what is due, all of it in one query; everything once a second. What becomes due meanwhile is the next batch.
async fn read(shared: &Shared) {
    let mut ticks = tokio::time::interval(STATUS_POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.due.notified() => {}
            _ = ticks.tick() => shared.read_all_soon(),
        }
        let due: Vec<Uuid> = shared.state().due.drain().map(|mutation| mutation.0).collect();
        if due.is_empty() {
            continue;
        }
        match statuses(shared, &due).await {
            Ok(statuses) => tell(shared, statuses),
            // The next tick asks again.
            Err(error) => tracing::warn!(%error, held = due.len(), "the status of held mutations cannot be read"),
        }
    }
}

struct News {
    mutation: MutationId,
    /// `None`: the projection does not know it yet.
    status: Option<Status>,
    claimed: bool,
}

impl News {
    fn of(standing: &MutationStatus) -> Self {
        let status = Status { lifecycle: standing.lifecycle.clone(), finished: standing.finished };
        Self { mutation: standing.mutation, status: Some(status), claimed: !standing.released }
    }
}

async fn statuses(shared: &Shared, due: &[Uuid]) -> Result<Vec<News>, sqlx::Error> {
    let rows: Vec<(Uuid, Option<serde_json::Value>, bool, bool)> = sqlx::query_as(
        "/* proxy.statuses */
         select i.id, m.lifecycle, m.finished_at is not null,
                exists (select from upwrite.claims c where c.mutation = i.id)
           from unnest($1::uuid[]) as i (id) left join upwrite.mutations m on m.id = i.id",
    )
    .bind(due)
    .fetch_all(&shared.pool)
    .await?;
    let news = rows.into_iter().map(|(id, lifecycle, finished, claimed)| {
        let lifecycle = lifecycle.and_then(|json| match serde_json::from_value::<Lifecycle>(json) {
            Ok(lifecycle) => Some(lifecycle),
            Err(error) => {
                tracing::error!(mutation = %id, %error, "the lifecycle of a mutation is not understood");
                None
            }
        });
        let status = lifecycle.map(|lifecycle| Status { lifecycle, finished });
        News { mutation: MutationId(id), status, claimed }
    });
    Ok(news.collect())
}

fn tell(shared: &Shared, news: Vec<News>) {
    let mut state = shared.state();
    let mut released = HashSet::new();
    for News { mutation, status, claimed } in news {
        if !claimed {
            released.insert(mutation);
        }
        if let (Some(status), Some(waiter)) = (status, state.held.get(&mutation)) {
            waiter.send_if_modified(|known| {
                // What was read before it was told otherwise comes too late.
                let is_news = known.as_deref().is_none_or(|known| *known != status && !status.precedes(known));
                if is_news {
                    *known = Some(Arc::new(status));
                }
                is_news
            });
        }
    }
    state.queues.released(&released);
}
