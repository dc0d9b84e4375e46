//! The one trait behind which every upstream stands.

use async_trait::async_trait;
use upwrite_events::{ColumnSpec, LocalInterval, TableSpec};

use super::{Call, CallReport, CallRow, Capabilities, LookupResult, Page, UpstreamError};

/// An upstream. Every method is cancel-safe in the sense that a dropped future leaves at most one request whose
/// answer is lost. Redirects and the HTTP client's own retries are off. Each HTTP request takes its token of the source's
/// [`crate::Budget`] itself, with the priority of [`crate::with_priority`], and a vendor's wish to be left alone pauses
/// that budget, whichever method met it.
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

    /// Reads records by key, in the order asked for; any number of them. What cannot be a key upstream is absent.
    async fn read(
        &self,
        table: &TableSpec,
        keys: &[String],
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError>;

    /// Makes one write call. Never fails as a whole: a failure of the call is a failure of each row. Takes no longer than
    /// [`Capabilities::request_timeout`], waiting for the budget included: nothing is sent after that.
    async fn call(&self, call: Call<'_>) -> CallReport;

    /// After a lost answer to a create: which records carry these rows' idempotency keys (or, with `probe`, look
    /// like them, created at or after `sent_at_us`).
    async fn find_created(
        &self,
        table: &TableSpec,
        rows: &[CallRow],
        sent_at_us: i64,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError>;
}
