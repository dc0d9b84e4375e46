//! What the contract suite needs of an engine beside `EventLog` itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use upwrite_event_log::EventLog;
use upwrite_events::{MutationId, TableName};

/// Nothing that is waited for takes longer, unless it never comes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A deployment of its own, with one synced table, [`Harness::table`].
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// The log as one more process sees it.
    async fn process(&self) -> Arc<dyn EventLog>;

    /// As [`Harness::process`], but notifications of other processes never reach it.
    async fn deaf_process(&self) -> Arc<dyn EventLog>;

    /// The synced table.
    fn table(&self) -> TableName;

    /// What the reconciler does: the row gets that version, or goes.
    async fn set_version(&self, key: &str, version: Option<i64>);

    /// What the reconciler does at the end of a mutation: in one transaction the row's version, and the claims go.
    async fn finish(&self, mutation: MutationId, key: &str, version: Option<i64>);

    /// How many records are claimed.
    async fn claimed(&self) -> i64;

    /// Kills what holds the log, at once and without warning.
    async fn kill(&self);

    /// Starts it again.
    async fn restart(&self);

    /// Puts bytes into the log that no codec knows, behind what is there.
    async fn append_foreign(&self, partition: upwrite_events::Partition, value: &[u8]);
}
