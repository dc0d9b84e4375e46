//! Where each partition ends, as far as this process knows, and who waits for it to grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use upwrite_events::{Partition, Position, Stream};

use super::Config;
use super::reader::Reader;
use crate::per_partition::PerPartition;
use crate::tail::Tail;
use crate::{LOG_CHANNEL, LogError};

/// One entry per partition.
#[derive(Debug)]
pub(crate) struct Ends {
    entries: PerPartition<(watch::Sender<Position>, Tail)>,
    /// Whether Postgres is away, so that it is said once.
    away: AtomicBool,
}

impl Ends {
    pub(crate) fn new(partitions: u16, config: &Config) -> Self {
        let entry = || (watch::Sender::new(Position::START), Tail::new(config.tail_records, config.tail_bytes));
        Self { entries: PerPartition::new(partitions, entry), away: AtomicBool::new(false) }
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.entries.partitions()
    }

    /// The partition's newest records.
    ///
    /// # Panics
    /// If there is no such partition: callers have checked.
    pub(crate) fn tail(&self, partition: Partition) -> &Tail {
        &self.entries.get(partition).expect("callers check the partition's number").1
    }

    /// To wait for the partition to grow; `None` if there is no such partition.
    pub(crate) fn watch(&self, partition: Partition) -> Option<watch::Receiver<Position>> {
        Some(self.entries.get(partition)?.0.subscribe())
    }

    /// It has grown (or is known to have that length already).
    pub(crate) fn raise(&self, partition: Partition, to: Position) {
        if let Some((end, _)) = self.entries.get(partition) {
            end.send_if_modified(|end| {
                let grown = to > *end;
                *end = to.max(*end);
                grown
            });
        }
    }

    /// It was longer before: the database is not the one it was. Readers look for themselves.
    fn lower(&self, partition: Partition, to: Position) {
        if let Some((end, tail)) = self.entries.get(partition) {
            tail.clear();
            end.send_replace(to);
        }
    }

    /// Says once that reading fails, until [`Ends::back`].
    pub(crate) fn away(&self, error: &LogError) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "event log cannot be read; trying again until it can");
        }
    }

    pub(crate) fn back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("event log can be read again");
        }
    }

    fn all(&self) -> impl Iterator<Item = (Partition, Position)> + '_ {
        self.entries.iter().map(|(partition, (end, _))| (partition, *end.borrow()))
    }
}

/// Hears from other processes that they have appended. A lost notification costs one `poll`.
pub(crate) async fn listen(ends: Arc<Ends>, pool: PgPool, reader: Reader, shutdown: CancellationToken) {
    // A connection of its own: it is never given back.
    let options = pool.connect_options().as_ref().clone().application_name("upwrite log listener");
    let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
    while !shutdown.is_cancelled() {
        tokio::select! {
            heard = hear(&ends, &own, &reader) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "listening for appends of other processes ended; starting again");
                }
            }
            () = shutdown.cancelled() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shutdown.cancelled() => break,
        }
    }
}

async fn hear(ends: &Ends, pool: &PgPool, reader: &Reader) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(LOG_CHANNEL).await?;
    // What was said before is not heard, now and after each loss of the connection.
    look(ends, reader).await;
    loop {
        match listener.try_recv().await? {
            Some(notification) => {
                for (partition, end) in notification.payload().split(' ').filter_map(parse) {
                    ends.raise(partition, end);
                }
            }
            None => look(ends, reader).await,
        }
    }
}

/// `<stream>/<partition>:<end>`.
fn parse(item: &str) -> Option<(Partition, Position)> {
    let (stream, rest) = item.split_once('/')?;
    let (number, end) = rest.split_once(':')?;
    let stream = [Stream::Mutations, Stream::Observations].into_iter().find(|known| known.as_str() == stream)?;
    Some((Partition { stream, number: number.parse().ok()? }, Position(end.parse().ok()?)))
}

/// Reads the ends of all partitions every `every`.
pub(crate) async fn poll(ends: Arc<Ends>, reader: Reader, every: Duration, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => look(&ends, &reader).await,
            () = shutdown.cancelled() => return,
        }
    }
}

async fn look(ends: &Ends, reader: &Reader) {
    let known: Vec<_> = ends.all().collect();
    let found = match reader.ends().await {
        Ok(found) => found,
        Err(error) => return ends.away(&error),
    };
    ends.back();
    for (partition, end) in found {
        // An end that was known before it was asked for cannot be further on than the answer.
        if known.iter().any(|(of, before)| *of == partition && *before > end) {
            ends.lower(partition, end);
        } else {
            ends.raise(partition, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let partition = Partition { stream: Stream::Observations, number: 3 };
        assert_eq!(parse("observations/3:128"), Some((partition, Position(128))));
        for foreign in ["", "observations/3", "observations/3:x", "other/3:1", "mutations/99999999:1", "*"] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
