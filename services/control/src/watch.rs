//! Mutations as they change.
//!
//! Three sources, none of which needs to be complete by itself: notifications name what got a verdict or was released;
//! every second all that is not released is read (few, by a partial index); and whenever notifications may have been lost,
//! what changed since the last complete look is read by time.

mod changes;
mod hub;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use sqlx::PgPool;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::filter::{Filter, ResumeToken};
use crate::instant::micros;
use crate::mutations;
use crate::v1::{Mutation, WatchMutationsResponse};
use changes::Changes;
pub(crate) use hub::Hub;
use hub::Notice;

/// Callers who watch at the same time.
const WATCHES_MAX: usize = 64;
/// Messages that wait for a slow caller; then it is not looked at for more.
const WAITING: usize = 64;
/// Unreleased mutations that one watch follows.
const FOLLOWED_MAX: i64 = 10_000;
/// Rows read at a time.
const PAGE: i64 = 500;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a transaction may take from the time it writes into a row until the row can be seen. Microseconds.
const UNSEEN_US: i64 = 10_000_000;
/// How much later than requested a mutation may appear in the table. Microseconds.
const LATE_US: i64 = 3_600_000_000;

const NOW: &str = "/* control.now */ select (extract(epoch from clock_timestamp()) * 1000000)::bigint";

pub(crate) type WatchMessages = BoxStream<'static, Result<WatchMutationsResponse, Status>>;

/// Lets callers watch.
#[derive(Clone)]
pub(crate) struct Watches {
    pool: PgPool,
    hub: Hub,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Watches {
    pub(crate) fn new(pool: PgPool, shutdown: CancellationToken) -> Self {
        let hub = Hub::start(&pool, shutdown.clone());
        Self { pool, hub, places: Arc::new(Semaphore::new(WATCHES_MAX)), shutdown }
    }

    pub(crate) fn watch(&self, filter: Filter, resume: Option<ResumeToken>) -> Result<WatchMessages, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Status::resource_exhausted(format!("{WATCHES_MAX} callers watch already")))?;
        let (send, mut sent) = mpsc::channel(WAITING);
        let notices = self.hub.subscribe();
        let watch = Watch { pool: self.pool.clone(), filter, changes: Changes::default(), sent: resume, send };
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            watch.run(notices, shutdown).await;
            drop(place);
        });
        Ok(stream::poll_fn(move |context| sent.poll_recv(context)).boxed())
    }
}

/// The caller is gone.
struct CallerGone;

/// One caller's watch.
struct Watch {
    pool: PgPool,
    filter: Filter,
    changes: Changes,
    /// Up to where everything has been sent; `None`: nothing yet.
    sent: Option<ResumeToken>,
    send: mpsc::Sender<Result<WatchMutationsResponse, Status>>,
}

impl Watch {
    async fn run(mut self, mut notices: broadcast::Receiver<Notice>, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether notifications may have been lost since the last complete look.
        let mut missed = true;
        loop {
            let looked = tokio::select! {
                () = shutdown.cancelled() => {
                    let _ = self.send.try_send(Err(Status::unavailable("the control server stops")));
                    return;
                }
                () = self.send.closed() => return,
                _ = tick.tick() => self.look(&mut missed).await,
                first = notices.recv() => match ids_in(first, &mut notices) {
                    Some(ids) => self.read(&ids).await,
                    None => {
                        missed = true;
                        Ok(Ok(()))
                    }
                },
            };
            match looked {
                Ok(Ok(())) => {}
                Ok(Err(CallerGone)) => return,
                Err(error) => {
                    tracing::debug!(%error, "a watch cannot read upwrite.mutations; it tries again");
                    missed = true;
                }
            }
        }
    }

    /// Everything that is not released, and what was followed until now.
    async fn look(&mut self, missed: &mut bool) -> Result<Result<(), CallerGone>, sqlx::Error> {
        let now_us: i64 = sqlx::query_scalar(NOW).fetch_one(&self.pool).await?;
        if *missed
            && let Some(sent) = self.sent
            && let Err(gone) = self.catch_up(sent).await?
        {
            return Ok(Err(gone));
        }
        *missed = false;
        let open = mutations::unreleased(&self.pool, &self.filter, FOLLOWED_MAX).await?;
        let ended = self.changes.ended(&open);
        let oldest_us = open.iter().filter_map(|one| one.requested_at.as_ref()).map(micros).min();
        let mut found = mutations::by_ids(&self.pool, &ended).await?;
        found.extend(open);
        if let Err(gone) = self.send_new(found).await {
            return Ok(Err(gone));
        }
        self.sent = Some(ResumeToken { sent_us: now_us, oldest_us: oldest_us.unwrap_or(now_us).min(now_us) });
        Ok(Ok(()))
    }

    /// What changed since `sent`, by time.
    async fn catch_up(&mut self, sent: ResumeToken) -> Result<Result<(), CallerGone>, sqlx::Error> {
        let requested_us = sent.oldest_us.saturating_sub(LATE_US);
        let changed_us = sent.sent_us.saturating_sub(UNSEEN_US);
        let mut after = None;
        loop {
            let (found, next) =
                mutations::changed(&self.pool, &self.filter, requested_us, changed_us, after, PAGE).await?;
            if next.is_none() {
                return Ok(Ok(()));
            }
            after = next;
            if let Err(gone) = self.send_new(found).await {
                return Ok(Err(gone));
            }
        }
    }

    async fn read(&mut self, ids: &[Uuid]) -> Result<Result<(), CallerGone>, sqlx::Error> {
        let mut found = mutations::by_ids(&self.pool, ids).await?;
        found.retain(|one| self.concerns(one));
        Ok(self.send_new(found).await)
    }

    /// Whether the filter lets it pass, whatever its state.
    fn concerns(&self, one: &Mutation) -> bool {
        let filter = &self.filter;
        filter.table.as_ref().is_none_or(|table| table.source == one.source && table.table == one.table)
            && filter.user.as_ref().is_none_or(|user| *user == one.user)
            && filter.since_us.is_none_or(|since| one.requested_at.as_ref().is_some_and(|at| micros(at) >= since))
    }

    /// Sends what is new to the caller.
    async fn send_new(&mut self, found: Vec<Mutation>) -> Result<(), CallerGone> {
        for one in found {
            if self.changes.is_news(&one) && self.filter.has_state(&one.state) {
                let resume_token = self.sent.map(|sent| sent.to_string()).unwrap_or_default();
                let message = WatchMutationsResponse { mutation: Some(one), resume_token };
                self.send.send(Ok(message)).await.map_err(|_| CallerGone)?;
            }
        }
        Ok(())
    }
}

/// The ids of this and of further notices that are there already; `None`: some may have been lost.
fn ids_in(
    first: Result<Notice, broadcast::error::RecvError>,
    notices: &mut broadcast::Receiver<Notice>,
) -> Option<Vec<Uuid>> {
    let mut ids = HashSet::new();
    let mut lost = false;
    let mut take = |one| match one {
        Ok(Notice::Changed(id)) => {
            ids.insert(id);
        }
        Ok(Notice::Lost) | Err(()) => lost = true,
    };
    take(first.map_err(drop));
    // Bounded by what the channel holds.
    for _ in 0..hub::WAITING {
        match notices.try_recv() {
            Ok(one) => take(Ok(one)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => take(Err(())),
            Err(_) => break,
        }
    }
    (!lost).then(|| ids.into_iter().collect())
}
