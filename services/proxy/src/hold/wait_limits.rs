//! For how long a client waits.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upwrite_events::REVOCATION_ANSWER_WAIT;

use crate::planning::{OnTimeout, SessionSettings};
use crate::verdict::Cause;

/// What ends the wait of one statement. Made once per statement, kept over its dry runs.
#[derive(Debug, Clone)]
pub struct WaitLimits {
    /// When the client's statement began.
    pub started: Instant,
    pub hold_timeout: Duration,
    pub statement_timeout: Option<Duration>,
    /// For each wait for a claimed record.
    pub lock_timeout: Option<Duration>,
    pub on_timeout: OnTimeout,
    /// How long the partition's owner may take to withdraw the mutation, before the client is told that nobody knows.
    pub revocation_wait: Duration,
    /// CancelRequest for this statement.
    pub cancel: CancellationToken,
}

impl WaitLimits {
    pub fn new(started: Instant, settings: &SessionSettings, cancel: CancellationToken) -> Self {
        Self {
            started,
            hold_timeout: settings.upwrite.hold_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
            on_timeout: settings.upwrite.on_timeout,
            revocation_wait: REVOCATION_ANSWER_WAIT,
            cancel,
        }
    }

    /// Whether it is over already.
    pub(super) fn over(&self) -> Option<Cause> {
        let now = Instant::now();
        let passed = |limit: Duration| now >= self.started + limit;
        if self.cancel.is_cancelled() {
            Some(Cause::Cancel)
        } else if self.statement_timeout.is_some_and(passed) {
            Some(Cause::StatementTimeout)
        } else if passed(self.hold_timeout) {
            Some(Cause::HoldTimeout)
        } else {
            None
        }
    }

    /// Resolves when the wait is over. `lock_deadline`: of a wait for a claimed record.
    pub(super) async fn ended(&self, lock_deadline: Option<Instant>) -> Cause {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Cause::Cancel,
            () = until(lock_deadline) => Cause::LockTimeout,
            () = until(self.statement_timeout.map(|limit| self.started + limit)) => Cause::StatementTimeout,
            () = until(Some(self.started + self.hold_timeout)) => Cause::HoldTimeout,
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
