//! The one trait behind which every upstream stands.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use upwrite_events::{ColumnSpec, Failure, LocalInterval, ObservedRow, Op, Row, TableSpec};

/// What makes a resend after a lost answer safe, per table and operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// Upstream replays the first answer for the same key in a header.
    Header,
    /// Upstream enforces a unique field that carries our key: create plainly with it, look it up after a lost answer.
    UpsertKey,
    /// The client chooses the primary key.
    ClientId,
    /// Doing it twice is the same as doing it once (updates to a value, deletes).
    Natural,
    /// Only a search for what was sent can tell.
    Probe,
    /// Nothing can tell.
    None,
}

/// What a connector can do for one table.
#[derive(Debug, Clone)]
pub struct Capabilities {
    pub insert: Idempotency,
    pub update: Idempotency,
    pub delete: Idempotency,
    /// Rows per upstream call.
    pub max_batch: usize,
    /// Whether one call can be all-or-none.
    pub atomic_batches: bool,
    /// Whether the answer of a write carries the whole row (else it is read back).
    pub full_row_in_answer: bool,
    /// Timeout of one request.
    pub request_timeout: Duration,
    /// How long after it was sent a request whose answer was lost may still take effect: request timeout plus the
    /// vendor's longest execution. Configured, never asserted.
    pub late_effect: Duration,
    /// Concurrent calls to this upstream.
    pub max_concurrency: usize,
    /// Requests per second for the scope that this table's source shares; `None`: not limited.
    pub requests_per_second: Option<f64>,
}

/// One row of a call.
#[derive(Debug, Clone)]
pub struct CallRow {
    /// [`upwrite_events::MutationId::idempotency_key`] of this row.
    pub idempotency_key: String,
    /// Upstream key; for inserts the placeholder.
    pub key: String,
    pub changed: Row,
    pub old: Row,
}

/// One upstream call: same table, same operation.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub table: &'a TableSpec,
    pub op: Op,
    pub rows: &'a [CallRow],
    /// All or none of the rows.
    pub atomic: bool,
}

/// When a failed row may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRule {
    /// The failure is final.
    Never,
    /// Again, by the applier's back-off.
    Backoff,
    /// Again, but not before this has passed (vendor's `Retry-After` or known penalty).
    After(Duration),
    /// At once, without this call's other rows (collateral of another row).
    Alone,
}

/// A failure and what to do about it. `failure.outcome` says whether the row may have been applied.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    pub failure: Failure,
    pub retry: RetryRule,
}

/// What upstream said of one row.
#[derive(Debug, Clone)]
pub enum RowResult {
    Applied {
        /// The key that upstream gave or has.
        key: String,
        /// The whole row, where the answer carries it or it was read back in the same call.
        image: Option<Row>,
        vendor_version: Option<String>,
    },
    Failed(UpstreamError),
}

/// Answer to a call: one result per row, in order, always as many as there were rows.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub rows: Vec<RowResult>,
    /// In this process's clock, Unix microseconds.
    pub seen: LocalInterval,
    /// The whole scope is to be left alone for this long (429 and the like).
    pub pause: Option<Duration>,
}

/// What a look-up found for one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Not there (now).
    Absent,
    Present {
        key: String,
        image: Row,
        vendor_version: Option<String>,
    },
    /// More than one record fits: nobody can tell.
    Ambiguous,
}

/// One page of a table.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<ObservedRow>,
    pub seen: LocalInterval,
    /// Where the next page starts; `None`: this was the last.
    pub next: Option<String>,
}

/// An upstream. Every method is cancel-safe in the sense that a dropped future leaves at most one request whose
/// answer is lost. Redirects and the HTTP client's own retries are off.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// The source's name in the configuration, e.g. `salesforce`; the schema of its tables.
    fn source(&self) -> &str;

    fn capabilities(&self, table: &TableSpec) -> Capabilities;

    /// Whether upstream, asked to store `sent`, may show `seen` (both in Postgres text form): vendors trim text, round
    /// stamps, complete ids. Look-ups after a lost answer compare with this, never with `==`.
    fn same(&self, column: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
        let _ = column;
        sent == seen
    }

    /// Describes the configured objects as tables.
    async fn discover(&self) -> Result<Vec<TableSpec>, UpstreamError>;

    /// One page of all records of a table, in an order that survives a restart. `cursor` is what an earlier page
    /// gave as `next`.
    async fn page(&self, table: &TableSpec, cursor: Option<&str>) -> Result<Page, UpstreamError>;

    /// Reads records by key, in the order asked for.
    async fn read(&self, table: &TableSpec, keys: &[String]) -> Result<(Vec<Found>, LocalInterval), UpstreamError>;

    /// Makes one write call. Never fails as a whole: a failure of the call is a failure of each row.
    async fn call(&self, call: Call<'_>) -> CallReport;

    /// After a lost answer to a create: which records carry these rows' idempotency keys (or, with `probe`, look
    /// like them, created at or after `sent_at_us`).
    async fn find_created(
        &self,
        table: &TableSpec,
        rows: &[CallRow],
        sent_at_us: i64,
    ) -> Result<(Vec<Found>, LocalInterval), UpstreamError>;
}
