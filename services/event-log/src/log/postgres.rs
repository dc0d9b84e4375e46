//! The engine on the Postgres that is there anyway.

mod listen;
mod reader;
mod subscription;
mod tails;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_events::{Event, Partition, Position, Stream};

use crate::log::appender::{Appender, CommitListener, Done, Item, Limits};
use crate::{EventLog, LOG_CHANNEL, LogError, LogRecord, Notifier, Submission, Submitted, Subscription, partition_for};
use reader::Reader;
use tails::PartitionTails;

/// How the engine works. The defaults are right for one machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Appends and submissions that may wait for the appender; further callers wait.
    pub queue_items: usize,
    /// Encoded bytes that may wait for the appender; further callers wait. At least one event always fits.
    pub queue_bytes: usize,
    /// Items in one transaction.
    pub batch_items: usize,
    /// Encoded bytes in one transaction, unless one item alone is larger.
    pub batch_bytes: usize,
    /// Records of each partition that are kept in memory for readers of the same process.
    pub tail_records: usize,
    /// Bytes of each partition that are kept in memory for readers of the same process.
    pub tail_bytes: usize,
    /// How long an append waits for a connection before it is refused.
    pub connect_timeout: Duration,
    /// How long a transaction may wait for another transaction's lock (a claim that is being released).
    pub lock_timeout: Duration,
    /// How long Postgres may take to answer before the outcome counts as unknown.
    pub answer_timeout: Duration,
    /// How often the ends of all partitions are read, should a notification be lost.
    pub poll: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_items: 4096,
            queue_bytes: 64 * 1024 * 1024,
            batch_items: 256,
            batch_bytes: 4 * 1024 * 1024,
            tail_records: 1024,
            tail_bytes: 4 * 1024 * 1024,
            connect_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(15),
            poll: Duration::from_secs(1),
        }
    }
}

impl Config {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            queue_items: self.queue_items,
            queue_bytes: self.queue_bytes,
            batch_items: self.batch_items,
            batch_bytes: self.batch_bytes,
            connect_timeout: self.connect_timeout,
            lock_timeout: self.lock_timeout,
            answer_timeout: self.answer_timeout,
        }
    }
}

/// Those who wait for a partition to grow, here and in other processes.
struct LocalReaders {
    tails: Arc<PartitionTails>,
    notifier: Notifier,
}

impl CommitListener for LocalReaders {
    fn appended(&self, item: &Item, first: Position, at_us: i64) {
        let records = reader::records(item, first, at_us);
        let Some(end) = records.last().map(|record| record.position.next()) else { return };
        let tail = self.tails.tail(item.partition);
        records.into_iter().zip(&item.events).for_each(|(record, encoded)| tail.push(record, encoded.value.len()));
        self.tails.raise(item.partition, end);
        self.notifier.notify_latest(LOG_CHANNEL, &item.partition.to_string(), format!("{}:{end}", item.partition));
    }
}

/// The log in Postgres. One per process: it has one appender, and wakes the readers of its own process directly.
#[derive(Debug)]
pub struct PostgresLog {
    tails: Arc<PartitionTails>,
    appender: Appender,
    reader: Reader,
    notifier: Notifier,
}

impl PostgresLog {
    /// Opens the log of a database that `upwrite setup` has prepared. `pool` logs in as `upwrite_service` and serves
    /// reads; appends, notifications and listening have a connection each of their own, with the same options.
    ///
    /// On `shutdown` the appender finishes what it was given and refuses the rest.
    ///
    /// # Errors
    /// `Unavailable` if Postgres does not answer, `Mismatch` if the database was not set up.
    pub async fn open(pool: PgPool, config: Config, shutdown: CancellationToken) -> Result<Arc<Self>, LogError> {
        let notifier = Notifier::start(&pool, shutdown.clone());
        Self::open_with(pool, config, notifier, shutdown).await
    }

    /// As [`PostgresLog::open`], with the notifier that the process has already.
    ///
    /// # Errors
    /// As [`PostgresLog::open`].
    pub async fn open_with(
        pool: PgPool,
        config: Config,
        notifier: Notifier,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, LogError> {
        let partitions = reader::open(&pool, config.connect_timeout).await?;
        let reader = Reader::new(pool.clone(), config.connect_timeout);
        let tails = Arc::new(PartitionTails::new(partitions, config.tail_records, config.tail_bytes));
        for (partition, end) in reader.ends().await? {
            tails.raise(partition, end);
        }
        tokio::spawn(listen::listen(Arc::clone(&tails), pool.clone(), reader.clone(), shutdown.clone()));
        tokio::spawn(listen::poll(Arc::clone(&tails), reader.clone(), config.poll, shutdown.clone()));
        let listener = Arc::new(LocalReaders { tails: Arc::clone(&tails), notifier: notifier.clone() });
        let appender = Appender::start(&pool, config.limits(), listener, shutdown);
        Ok(Arc::new(Self { tails, appender, reader, notifier }))
    }

    /// The process's notifier: other parts of the process use it too.
    pub fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    fn check(&self, partition: Partition) -> Result<(), String> {
        if partition.number < self.tails.partitions() {
            return Ok(());
        }
        Err(format!("no partition {partition}; each stream has {}", self.tails.partitions()))
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    fn partitions(&self) -> u16 {
        self.tails.partitions()
    }

    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError> {
        self.check(partition).map_err(LogError::NotAppended)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let count = i64::try_from(events.len()).expect("a vector's length fits an i64");
        match self.appender.run(Item::append(partition, events)?).await? {
            Done::Accepted(first) => Ok((first.0..first.0 + count).map(Position).collect()),
            Done::Claimed { .. } | Done::Stale | Done::Reserved => {
                Err(LogError::Unknown("an append was answered as a submission".to_owned()))
            }
        }
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted, LogError> {
        let Some(first) = submission.request.rows.first() else {
            return Err(LogError::NotAppended("a request without rows".to_owned()));
        };
        let partition = partition_for(Stream::Mutations, &first.table, &first.key, self.partitions());
        Ok(match self.appender.run(Item::submit(partition, submission)?).await? {
            Done::Accepted(position) => Submitted::Accepted { partition, position },
            Done::Claimed { claim, by } => Submitted::Claimed { claim, by },
            Done::Stale => Submitted::Stale,
            Done::Reserved => return Err(LogError::Unknown("a submission was answered as a claim".to_owned())),
        })
    }

    fn subscribe(&self, partition: Partition, from: Position) -> Subscription {
        subscription::subscribe(self.reader.clone(), Arc::clone(&self.tails), partition, from)
    }

    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError> {
        self.check(partition).map_err(LogError::Mismatch)?;
        match self.tails.tail(partition).read(from, limit) {
            Some(records) => Ok(records),
            None => self.reader.read(partition, from, limit).await,
        }
    }

    async fn start(&self, partition: Partition) -> Result<Position, LogError> {
        self.check(partition).map_err(LogError::Mismatch)?;
        self.reader.start(partition).await
    }

    async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        self.check(partition).map_err(LogError::Mismatch)?;
        self.reader.end(partition).await
    }
}
