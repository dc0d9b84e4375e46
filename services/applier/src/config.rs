//! What can be set.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use crate::ApplierStatus;

/// Settings of the applier.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// For how long after an acknowledged append to a partition its owner may have calls running. Raised to twice the
    /// longest request timeout of the connectors where it is shorter: a call starts only if it ends within the lease.
    pub lease: Duration,
    /// For how long after its request a mutation is tried. Then: rejected if it is known not to be applied, else in
    /// doubt. At least one attempt is made, however old the request is.
    pub deadline: Duration,
    /// How often one row is sent at most, within the deadline.
    pub max_attempts: u32,
    /// Delay before the second attempt; doubles with every further one.
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    /// Share of a delay that is left to chance, 0 to 1.
    pub backoff_jitter: f64,
    /// A wait this long or longer is a fact in the log (`MutationDeferred`); shorter ones only cost a look-up after a
    /// crash.
    pub defer_from: Duration,
    /// Calls in flight per source, should its connector allow more.
    pub concurrency: usize,
    /// How long calls in flight may take to end when a partition is to be given back.
    pub grace: Duration,
    /// How often the offset to Postgres's clock is measured; until then images' times widen by what clocks may drift.
    pub clock_sample_every: Duration,
    /// Where the applier shows, every second, what it is about.
    #[serde(skip)]
    pub status: Option<watch::Sender<ApplierStatus>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            deadline: Duration::from_secs(600),
            max_attempts: 40,
            backoff_base: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            backoff_jitter: 0.3,
            defer_from: Duration::from_secs(1),
            concurrency: 16,
            grace: Duration::from_secs(10),
            clock_sample_every: Duration::from_secs(10),
            status: None,
        }
    }
}
