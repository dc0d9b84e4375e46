//! Everything that the reconciler writes is a projection of the log. Here it is rebuilt from the log, while reconcilers
//! and clients go on: a table's rows, `upwrite.records`, `upwrite.mutations`; and, behind the recovery barrier, claims.
//!
//! The log is folded into temporary tables by the reconciler's own rules ([`crate::merge::decide`], the fold of
//! `events`). Then one snapshot of Postgres gives the live rows together with the positions that they stand for; the
//! temporary tables are brought to exactly these positions and compared. What differs, and nothing else, is looked at
//! again in short transactions that hold the positions, so that no reconciler commits meanwhile, and is mended there.
//!
//! What is not in the log stays as it is where a row exists: `_version` and `_synced_at` of rows that are right,
//! `finished_at` and `settled_at` of mutations (the reconciler's clock). A mended row's `_version` is one higher; a row
//! that was missing begins at 1. Columns that no image in the log speaks of are left alone, and so is a record while an
//! image of it is parked: the reconciler will write it.
//!
//! Memory does not grow with the table: a few ranges of the log are decoded at a time, and the keys that differ are kept.

mod claims;
mod compare;
mod connect;
mod doubt;
mod encode;
mod error;
mod expected;
mod feed;
mod fold;
mod judge;
mod look;
mod mend;
mod mutations;
mod positions;
mod recover;
mod report;
mod scan;
mod scope;
mod shadow;
mod shapes;
mod table;
mod write;

pub use error::RebuildError;
pub use recover::{Binding, RecoverReport};
pub use report::{MutationsReport, ProjectionsReport, RebuildProgress, TableReport};

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use upwrite_event_log::EventLog;

/// One operation's surroundings. Dropping the future of a method ends the operation; what it has mended by then stays.
pub struct Rebuild {
    options: PgConnectOptions,
    log: Arc<dyn EventLog>,
    progress: report::ProgressSender,
    outbox: bool,
}

impl Rebuild {
    /// `options` log in as `upwrite_reconciler`. A listener that is too slow misses some of `progress`.
    pub fn new(
        options: PgConnectOptions,
        log: Arc<dyn EventLog>,
        progress: Option<mpsc::Sender<RebuildProgress>>,
    ) -> Self {
        Self { options, log, progress: report::ProgressSender(progress), outbox: false }
    }

    /// Whether rows that are mended go to the topics of records, as those that the reconciler writes (log on Kafka).
    pub fn with_outbox(self, outbox: bool) -> Self {
        Self { outbox, ..self }
    }
}

impl std::fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rebuild").finish_non_exhaustive()
    }
}
