use std::time::Duration;

/// How the reconciler works. All have defaults that need no tuning.
#[derive(Debug, Clone)]
pub struct Config {
    /// Log records in one transaction.
    pub max_batch: usize,
    /// How long one write waits for a lock before its image is parked.
    pub lock_timeout: Duration,
    /// How often parked images are tried again while there are any.
    pub parked_retry: Duration,
    /// A transaction of the reconciler that stalls longer than this is ended by Postgres.
    pub session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch: 500,
            lock_timeout: Duration::from_millis(100),
            parked_retry: Duration::from_millis(100),
            session_timeout: Duration::from_secs(10),
        }
    }
}
