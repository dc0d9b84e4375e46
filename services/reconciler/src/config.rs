use std::time::Duration;

use tokio::sync::watch;

use crate::progress::Progress;

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
    /// How old claims are whose request is looked for, and which are voided if it is not there.
    pub void_after: Duration,
    /// How often that is looked after.
    pub void_check: Duration,
    /// How long a voided mutation is remembered, so that its request, should it still come, does nothing.
    pub void_retention: Duration,
    /// Whether every row that is written or deleted also goes into `upwrite.outbox`.
    pub outbox: bool,
    /// Where the reconciler says how far it is.
    pub progress: watch::Sender<Progress>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch: 500,
            lock_timeout: Duration::from_millis(100),
            parked_retry: Duration::from_millis(100),
            session_timeout: Duration::from_secs(10),
            void_after: Duration::from_secs(60),
            void_check: Duration::from_secs(5),
            void_retention: Duration::from_secs(24 * 60 * 60),
            outbox: false,
            progress: watch::Sender::default(),
        }
    }
}
