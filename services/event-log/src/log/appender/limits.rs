//! What may wait for the appender.

use std::time::Duration;

/// What may wait, and for how long; see [`crate::Config`].
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) queue_items: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) batch_items: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) answer_timeout: Duration,
}
