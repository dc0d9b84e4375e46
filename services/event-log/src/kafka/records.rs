//! The compacted topics of synced tables: rows of `upwrite.outbox`, published by one transactional producer a table.
//!
//! Order. A reconciler draws an outbox row's id while it holds the lock on the row that it wrote, and until its commit.
//! So of one key, ids rise in the order of commits, and whoever sees one sees all that are lower. Ids of different keys
//! may become visible in any order; that does no harm, because the publisher has no position in the outbox that it could
//! pass by: it takes what it sees, lowest ids first, and removes what it has published. No open transaction, whosoever,
//! holds it up.
//!
//! Once. Each record says in a header which outbox row it is. A batch is one Kafka transaction, and the next one begins
//! only when the batch's rows are removed. So whoever takes a table over fences its predecessor (`init_transactions`),
//! reads the end of each partition (committed records only), removes the rows that are there already, and goes on.

mod message;
mod outbox;
mod producer;
mod publisher;
mod run;
mod tail;

pub use message::{HEADER_OUTBOX, HEADER_VERSION};
pub use outbox::synced_tables;
pub use publisher::RecordsPublisher;
pub use run::run_records;
use upwrite_events::TableName;

/// Rows in one Kafka transaction. Whoever takes over reads so far back: a later version may lower it, never raise it
/// without reading back as far as this one wrote.
const BATCH_ROWS: i64 = 1000;

/// Why publishing ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// Somebody else publishes this table now.
    #[error("another publisher of {0} has taken over")]
    Fenced(TableName),
    /// Options or schemas are not what they must be: trying again would change nothing.
    #[error("records of {table} cannot be published: {reason}")]
    Mismatch { table: TableName, reason: String },
    #[error("publishing of records failed: {0}")]
    Failed(String),
}

/// Why a step did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    Fenced,
    /// Will not pass by itself.
    Mismatch(String),
    /// May pass, or somebody will see to it: to be tried again, from the start.
    Away(String),
}

impl Failure {
    fn away(error: impl std::fmt::Display) -> Self {
        Self::Away(error.to_string())
    }
}
