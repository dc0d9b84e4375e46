//! The tail of each partition, and where the partition ends, as far as this process knows.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use upwrite_events::{Partition, Position};

use crate::LogError;
use crate::log::per_partition::PerPartition;
use crate::log::tail::Tail;

/// One entry per partition.
#[derive(Debug)]
pub(crate) struct PartitionTails {
    entries: PerPartition<(watch::Sender<Position>, Tail)>,
    /// Whether Postgres is away, so that it is said once.
    away: AtomicBool,
}

impl PartitionTails {
    /// Tails of so many records and bytes.
    pub(crate) fn new(partitions: u16, records: usize, bytes: usize) -> Self {
        let entry = || (watch::Sender::new(Position::START), Tail::new(records, bytes));
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
    pub(crate) fn lower(&self, partition: Partition, to: Position) {
        if let Some((end, tail)) = self.entries.get(partition) {
            tail.clear();
            end.send_replace(to);
        }
    }

    /// Says once that reading fails, until [`PartitionTails::back`].
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

    pub(crate) fn all(&self) -> impl Iterator<Item = (Partition, Position)> + '_ {
        self.entries.iter().map(|(partition, (end, _))| (partition, *end.borrow()))
    }
}
