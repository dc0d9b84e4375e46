//! What the contract suite needs of an engine beside `EventLog` itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use upwrite_event_log::EventLog;
use upwrite_events::{MutationId, Partition, TableName};

/// Nothing that is waited for takes longer, unless it never comes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A deployment of its own, with four partitions and one synced table, [`Harness::table`], whose key is `id`.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// The log as one more process sees it. It hears of other processes' appends by notification only.
    async fn process(&self) -> Arc<dyn EventLog>;

    /// As [`Harness::process`], but it also looks for itself, often.
    async fn polling_process(&self) -> Arc<dyn EventLog>;

    fn table(&self) -> TableName;

    /// Whether the events of one append stand one behind the other, with nobody else's in between.
    fn appends_stay_together(&self) -> bool {
        true
    }

    /// What a read by the dry run shows: the row's version.
    async fn version(&self, key: &str) -> Option<i64>;

    /// What the reconciler does: the row gets that version, or goes.
    async fn set_version(&self, key: &str, version: Option<i64>);

    /// What the reconciler does at the end of a mutation: in one transaction the row's version, and the claims go.
    async fn finish(&self, mutation: MutationId, key: &str, version: Option<i64>);

    /// The same, up to the commit.
    async fn begin_finish(&self, mutation: MutationId, key: &str, version: Option<i64>) -> Box<dyn Finishing>;

    /// Waits until an append waits for somebody's lock.
    async fn until_blocked(&self);

    /// How many records are claimed.
    async fn claimed(&self) -> i64;

    /// Puts bytes into the log behind what is there, and tells nobody.
    async fn append_silently(&self, partition: Partition, value: &[u8]);

    /// Kills what holds the log, at once and without warning.
    async fn kill(&self);

    async fn restart(&self);
}

/// A transaction of the reconciler that is still open.
#[async_trait]
pub(crate) trait Finishing: Send {
    async fn commit(self: Box<Self>);
}
