//! What an operation reports while it runs, and at its end.

use std::time::Duration;

use tokio::sync::mpsc;
use upwrite_events::TableName;

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildProgress {
    /// What is being done, for people: `reading the log`, `comparing`, `mending`, …
    pub phase: &'static str,
    /// Of what, if that is one of several: a table.
    pub of: Option<TableName>,
    /// Log positions read, or rows mended.
    pub done: u64,
    /// Of so many; 0: not known.
    pub total: u64,
}

/// What became of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableReport {
    /// Log positions read.
    pub events: u64,
    /// Whether the log still begins at its beginning. Otherwise rows that only its lost part can have had stay.
    pub log_is_complete: bool,
    /// Rows that the table is to have according to the log.
    pub rows: u64,
    /// Of these, found as they are to be.
    pub equal: u64,
    /// Rows that differed.
    pub mended: u64,
    /// Rows that were missing.
    pub inserted: u64,
    /// Rows that were too many.
    pub deleted: u64,
    /// Entries of `upwrite.records` that were put right, with or without a row.
    pub records: u64,
    /// Rows that differ and were left: the log does not know (any more) what they should be.
    pub unknown: u64,
    /// Rows that differ and were left: an image of theirs is parked, the reconciler will write it.
    pub waiting: u64,
    /// Rows that differ and were left, since they stayed locked. Run it again later.
    pub locked: u64,
    /// Rows that differ and that a constraint, or the column's type, refused.
    pub refused: u64,
    pub took: Duration,
}

impl TableReport {
    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        self.mended + self.inserted + self.deleted + self.records > 0
    }
}

/// What became of `upwrite.mutations` and the owners of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MutationsReport {
    /// Log positions read.
    pub events: u64,
    /// As in [`TableReport`].
    pub log_is_complete: bool,
    /// Mutations in the log.
    pub mutations: u64,
    /// Rows that differed.
    pub mended: u64,
    pub inserted: u64,
    pub deleted: u64,
    /// Mutations that the log does not know (any more); they were left.
    pub unknown: u64,
    /// Partitions whose owner was put right.
    pub owners: u64,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectionsReport {
    pub mutations: MutationsReport,
    /// Of each table: `upwrite.records` only.
    pub records: Vec<(TableName, TableReport)>,
}

/// Where an operation says how far it is; `None`: nobody listens.
#[derive(Debug, Clone)]
pub(super) struct ProgressSender(pub(super) Option<mpsc::Sender<RebuildProgress>>);

impl ProgressSender {
    pub(super) fn send(&self, phase: &'static str, of: Option<&TableName>, done: u64, total: u64) {
        if let Some(listener) = &self.0 {
            // Full: the listener gets the next step.
            let _ = listener.try_send(RebuildProgress { phase, of: of.cloned(), done, total });
        }
    }
}
