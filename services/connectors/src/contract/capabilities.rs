//! What a connector can do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// Rows of one upstream call, at least 1.
    pub max_batch: usize,
    /// Whether one call can be all-or-none.
    pub atomic_batches: bool,
    /// Timeout of one request, and of a whole [`crate::Connector::call`].
    pub request_timeout: Duration,
    /// How long after it was sent a request whose answer was lost may still take effect: request timeout plus the
    /// vendor's longest execution. Configured, never asserted.
    pub late_effect: Duration,
    /// Concurrent calls to this upstream.
    pub max_concurrency: usize,
    /// Keys of one [`crate::Connector::read`] that cost one request. More are allowed: the connector makes more requests.
    pub keys_per_read: usize,
}
