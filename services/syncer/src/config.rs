//! What can be set.

use std::time::Duration;

/// How the syncer works.
#[derive(Debug, Clone)]
pub struct Config {
    /// How often it looks for tables to backfill and for records to read again: one query a source each.
    pub poll: Duration,
    /// Pause after a failure, per table; doubles up to `max_pause`.
    pub min_pause: Duration,
    pub max_pause: Duration,
    /// How old a measurement of Postgres's clock may be. The intervals of observations widen by 1 ms for every 2 s of it.
    pub clock_max_age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            min_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(30),
            clock_max_age: Duration::from_secs(10),
        }
    }
}
