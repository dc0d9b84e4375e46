//! The compacted topics of synced tables: rows of `upwrite.outbox`, published by one transactional producer a table.
//!
//! Order. A reconciler draws an outbox row's id while it holds the lock on the row that it wrote, and until its commit.
//! So of one key, ids rise in the order of commits, and a reader that sees one sees all that are lower. Ids of different keys
//! may become visible in any order; that does no harm, because the publisher has no position in the outbox that it could
//! pass by: it takes what it sees, lowest ids first, and removes what it has published. No open transaction holds
//! it up, whose ever it is.
//!
//! Once. Each record says in a header which outbox row it is. A batch is one Kafka transaction, and the next one begins
//! only when the batch's rows are removed. So a publisher that takes a table over fences its predecessor (`init_transactions`),
//! reads the end of each partition (committed records only), removes the rows that are there already, and goes on.

mod failure;
mod message;
mod outbox;
mod producer;
mod run;
mod table;
mod tail;

pub use failure::RecordsError;
pub use message::{HEADER_OUTBOX, HEADER_VERSION};
pub use outbox::synced_tables;
pub use run::run_records;
pub use table::RecordsPublisher;
