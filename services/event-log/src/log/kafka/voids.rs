//! Ends orphans: voids their requests, and releases their claims.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Weak;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use upwrite_events::{Event, MutationId, MutationVoided, Partition};

use super::inner::Inner;
use super::orphans::{MAX_WAITING, Orphan, Queue};
use crate::log::appender::encoded;

/// Voids in one append.
const AT_ONCE: usize = 256;
const PAUSE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(5);

const RELEASE: &str = "/* event-log.release */ delete from upwrite.claims where mutation = any ($1)";

#[derive(Default)]
struct Backlog {
    voids: BTreeMap<Partition, VecDeque<(MutationId, String)>>,
    releases: Vec<MutationId>,
    /// Released once; a claim that Postgres had not yet committed then is released the second time.
    again: VecDeque<(Instant, MutationId)>,
}

impl Backlog {
    fn add(&mut self, orphan: Orphan) {
        match orphan {
            Orphan::Void { partition, mutation, reason } => {
                self.voids.entry(partition).or_default().push_back((mutation, reason));
            }
            Orphan::Release(mutation) => self.releases.push(mutation),
        }
    }

    fn len(&self) -> usize {
        self.voids.values().map(VecDeque::len).sum::<usize>() + self.releases.len() + self.again.len()
    }
}

/// Ends orphans until `shutdown`; what then is left is the reconciler's.
pub(crate) async fn end(log: Weak<Inner>, queue: Queue, pool: PgPool, shutdown: CancellationToken) {
    let Queue(mut orphans) = queue;
    let mut waiting = Backlog::default();
    loop {
        let next_release = waiting.again.front().map(|(when, _)| *when);
        let idle = waiting.voids.is_empty() && waiting.releases.is_empty();
        tokio::select! {
            orphan = orphans.recv(), if waiting.len() < MAX_WAITING => match orphan {
                Some(orphan) => waiting.add(orphan),
                None => return,
            },
            () = tokio::time::sleep_until(next_release.unwrap_or_else(Instant::now)), if next_release.is_some() => {}
            // Something could not be done a moment ago.
            () = tokio::time::sleep(PAUSE), if !idle => {}
            () = shutdown.cancelled() => return,
        }
        while waiting.len() < MAX_WAITING
            && let Ok(orphan) = orphans.try_recv()
        {
            waiting.add(orphan);
        }
        let Some(log) = log.upgrade() else { return };
        let late = log.config.claims.answer_timeout;
        release(&mut waiting, &pool, late).await;
        void(&mut waiting, &log).await;
    }
}

async fn release(waiting: &mut Backlog, pool: &PgPool, late: Duration) {
    let now = Instant::now();
    while let Some((when, _)) = waiting.again.front()
        && *when <= now
    {
        let Some((_, mutation)) = waiting.again.pop_front() else { break };
        waiting.releases.push(mutation);
        if delete(pool, &[mutation]).await {
            waiting.releases.pop();
        }
    }
    if !waiting.releases.is_empty() && delete(pool, &waiting.releases).await {
        let again = waiting.releases.drain(..).map(|mutation| (now + late, mutation));
        waiting.again.extend(again);
    }
}

async fn delete(pool: &PgPool, mutations: &[MutationId]) -> bool {
    let ids: Vec<_> = mutations.iter().map(|mutation| mutation.0).collect();
    match timeout(PATIENCE, sqlx::query(RELEASE).bind(ids).execute(pool)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "claims could not be released; trying again");
            false
        }
        Err(_) => false,
    }
}

async fn void(waiting: &mut Backlog, log: &Inner) {
    for (partition, mutations) in &mut waiting.voids {
        while !mutations.is_empty() {
            let voids = mutations.iter().take(AT_ONCE).map(|(mutation, reason)| {
                encoded(Event::MutationVoided(MutationVoided { mutation: *mutation, reason: reason.clone() }))
            });
            let Ok(voids) = voids.collect::<Result<Vec<_>, _>>() else {
                tracing::error!(%partition, "a void cannot be encoded; its claims are left to the reconciler");
                mutations.clear();
                break;
            };
            let count = voids.len();
            // One that may have been appended is appended again: a repeat changes nothing.
            if let Err(error) = log.append(*partition, voids).await {
                tracing::debug!(%partition, %error, "voids could not be appended; trying again");
                break;
            }
            mutations.drain(..count);
        }
    }
    waiting.voids.retain(|_, mutations| !mutations.is_empty());
}
