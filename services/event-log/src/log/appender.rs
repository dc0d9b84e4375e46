//! The one task of a process that claims, and on the Postgres engine appends: it takes whatever is queued and makes one
//! transaction of it.

mod batch;
mod connection;
mod item;
mod limits;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use upwrite_events::Position;

use crate::LogError;
use batch::{Columns, take};
use connection::{AppendConnection, Failed};
use item::QueuedItem;
pub(crate) use item::{Done, Encoded, Item, encoded};
pub(crate) use limits::Limits;

/// Bytes are counted in units that keep the largest queue within the semaphore's range.
const UNIT_BYTES: usize = 1024;
/// A connection that was idle for so long is checked.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Learns of every committed item that has events, in the order of positions within one transaction.
pub(crate) trait CommitListener: Send + Sync + 'static {
    fn appended(&self, item: &Item, first: Position, at_us: i64);
}

/// The handle to the task.
#[derive(Debug)]
pub(crate) struct Appender {
    queue: mpsc::Sender<QueuedItem>,
    bytes: Arc<Semaphore>,
    units: u32,
}

impl Appender {
    pub(crate) fn start(
        pool: &PgPool,
        limits: Limits,
        listener: Arc<dyn CommitListener>,
        shutdown: CancellationToken,
    ) -> Self {
        let units = u32::try_from(limits.queue_bytes / UNIT_BYTES).unwrap_or(u32::MAX / 8).clamp(1, u32::MAX / 8);
        let (queue, items) = mpsc::channel(limits.queue_items.max(1));
        let connection = AppendConnection::new(pool, &limits);
        tokio::spawn(Task { connection, limits, listener, waiting: VecDeque::new() }.run(items, shutdown));
        Self { queue, bytes: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Queues the item and waits for what becomes of it.
    pub(crate) async fn run(&self, item: Item) -> Result<Done, LogError> {
        let units = u32::try_from(item.bytes / UNIT_BYTES + 1).unwrap_or(u32::MAX).min(self.units);
        let closed = || LogError::NotAppended("the event log is shutting down".to_owned());
        let _bytes = Arc::clone(&self.bytes).acquire_many_owned(units).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.queue.send(QueuedItem { item, answer, _bytes }).await.map_err(|_| closed())?;
        // The task answers everything that it takes; it ends without an answer only if it panicked.
        answered.await.unwrap_or_else(|_| Err(LogError::Unknown("the appender has gone".to_owned())))
    }
}

struct Task {
    connection: AppendConnection,
    limits: Limits,
    listener: Arc<dyn CommitListener>,
    /// Taken from the queue, not yet in a batch.
    waiting: VecDeque<QueuedItem>,
}

impl Task {
    async fn run(mut self, mut items: mpsc::Receiver<QueuedItem>, shutdown: CancellationToken) {
        self.connection.keep().await;
        loop {
            if self.waiting.is_empty() {
                tokio::select! {
                    item = items.recv() => match item {
                        Some(item) => self.waiting.push_back(item),
                        None => break,
                    },
                    // What was sent before this still comes out of the channel; then it ends.
                    () = shutdown.cancelled(), if !items.is_closed() => items.close(),
                    () = tokio::time::sleep(IDLE_CHECK) => self.connection.keep().await,
                }
            }
            while self.waiting.len() < self.limits.batch_items
                && let Ok(item) = items.try_recv()
            {
                self.waiting.push_back(item);
            }
            let batch = take(&mut self.waiting, self.limits.batch_items, self.limits.batch_bytes);
            if !batch.is_empty() {
                self.append(batch).await;
            }
        }
        self.connection.close().await;
    }

    async fn append(&mut self, batch: Vec<QueuedItem>) {
        match self.transaction(&batch).await {
            Ok(done) => answer(batch, done),
            // One item may have spoilt it for all: each alone.
            Err(Failed::Refused(_)) if batch.len() > 1 => {
                for waiting in batch {
                    let alone = vec![waiting];
                    match self.transaction(&alone).await {
                        Ok(done) => answer(alone, done),
                        Err(failed) => refuse(alone, &failed.into_error()),
                    }
                }
            }
            Err(failed) => refuse(batch, &failed.into_error()),
        }
    }

    /// One transaction; the listener learns what it appended.
    async fn transaction(&mut self, batch: &[QueuedItem]) -> Result<Vec<Result<Done, LogError>>, Failed> {
        let items: Vec<&Item> = batch.iter().map(|waiting| &waiting.item).collect();
        let columns = Columns::of(&items);
        let rows = self.connection.append(&columns).await?;
        let unanswered = || Err(LogError::Unknown("Postgres did not speak of it".to_owned()));
        let mut done: Vec<Result<Done, LogError>> = items.iter().map(|_| unanswered()).collect();
        let mut accepted = Vec::new();
        for row in &rows {
            let Some(index) = usize::try_from(row.item).ok().and_then(|item| item.checked_sub(1)) else { continue };
            let (Some(slot), Some(item)) = (done.get_mut(index), items.get(index)) else { continue };
            *slot = columns.done(row);
            if let Ok(Done::Accepted(first)) = slot {
                accepted.push((*item, *first, row.at_us.unwrap_or_default()));
            }
        }
        // In the order of positions, so that each partition's tail grows without gaps.
        accepted.sort_by_key(|(item, first, _)| (item.partition, *first));
        for (item, first, at_us) in accepted {
            self.listener.appended(item, first, at_us);
        }
        Ok(done)
    }
}

fn answer(batch: Vec<QueuedItem>, done: Vec<Result<Done, LogError>>) {
    for (waiting, done) in batch.into_iter().zip(done) {
        // The caller may have gone; what was appended stays appended.
        let _ = waiting.answer.send(done);
    }
}

fn refuse(batch: Vec<QueuedItem>, error: &LogError) {
    tracing::warn!(items = batch.len(), %error, "append failed");
    for waiting in batch {
        let _ = waiting.answer.send(Err(error.clone()));
    }
}
