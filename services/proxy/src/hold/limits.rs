//! For how long a client waits.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::capture::{OnTimeout, Session};

/// What ends the wait of one statement. Made once per statement, kept over its dry runs.
#[derive(Debug, Clone)]
pub struct Limits {
    /// When the client's statement began.
    pub started: Instant,
    pub hold_timeout: Duration,
    pub statement_timeout: Option<Duration>,
    pub lock_timeout: Option<Duration>,
    pub on_timeout: OnTimeout,
    /// CancelRequest for this statement.
    pub cancel: CancellationToken,
}

impl Limits {
    pub fn new(started: Instant, session: &Session, cancel: CancellationToken) -> Self {
        Self {
            started,
            hold_timeout: session.settings.hold_timeout,
            statement_timeout: session.statement_timeout,
            lock_timeout: session.lock_timeout,
            on_timeout: session.settings.on_timeout,
            cancel,
        }
    }
}
