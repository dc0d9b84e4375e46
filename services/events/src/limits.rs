//! Every limit that more than one stage relies on, with the relations between them checked at compile time.

use std::time::Duration;

/// Rows that one statement may change in synced tables (54000 beyond it).
pub const MAX_ROWS_PER_MUTATION: usize = 10_000;
/// Encoded size of one event, bytes. Above what 10,000 ordinary rows need; below what Kafka brokers are commonly
/// configured to take once compressed.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;
/// One column value in a mutation, bytes.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// Rows in one `RecordsObserved`.
pub const MAX_ROWS_PER_OBSERVATION: usize = 1_000;
/// How long a client is held unless `upwrite.hold_timeout` says otherwise: below the 30 s after which connection
/// pools give up.
pub const DEFAULT_HOLD_TIMEOUT: Duration = Duration::from_secs(25);
/// How long the proxy waits for an answer to a `RevocationRequested` before it says 40003.
pub const REVOCATION_ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How often the proxy reads the status of what it holds, should a notification be lost.
pub const STATUS_POLL: Duration = Duration::from_secs(1);

const _: () = assert!(MAX_VALUE_BYTES < MAX_EVENT_BYTES);
const _: () = assert!(DEFAULT_HOLD_TIMEOUT.as_secs() < 30);
const _: () = assert!(MAX_ROWS_PER_OBSERVATION <= MAX_ROWS_PER_MUTATION);
