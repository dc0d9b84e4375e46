//! A captured statement on its way: what is run, and what is remembered over all its dry runs.

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::result_set::ResultSet;
use super::span::StatementSpan;
use crate::classify::PossibleWrite;
use crate::error::PgError;
use crate::hold::{ClaimWait, WaitLimits};
use crate::planning;
use crate::returning::Returning;
use crate::wire::Frame;

/// A captured statement as the client sent it.
pub(super) struct CapturedStatement {
    /// The portal that the client executes; the proxy's own for a simple query.
    pub(super) portal: Bytes,
    /// The Bind that made it.
    pub(super) bind: Frame,
    /// A simple query: its text.
    pub(super) query: Option<Bytes>,
    pub(super) write: Box<PossibleWrite>,
    pub(super) max_rows: i32,
}

impl CapturedStatement {
    /// The client's RETURNING, if the statement is plain and has one.
    pub(super) fn returning(&self) -> Option<&Returning> {
        self.write.plain.as_ref().and_then(|plain| plain.returning.as_ref())
    }

    pub(super) fn result_too_large(&self) -> PgError {
        let error = PgError::error("54000", "the result is larger than Upwrite keeps for a statement that it captures");
        if self.max_rows > 0 {
            error.with_hint("Fetch all rows at once, or return fewer.")
        } else {
            error.with_hint("Return fewer rows or columns.")
        }
    }
}

/// What is remembered of one statement over all its dry runs.
pub(super) struct Execution {
    pub(super) started: Instant,
    /// Its place in the queue for a claimed record, if it has one.
    pub(super) claim_wait: ClaimWait,
    /// Of the session's settings as the first dry run read them.
    pub(super) limits: Option<WaitLimits>,
    /// Cancelled by a CancelRequest while the proxy waits.
    pub(super) cancel: CancellationToken,
    /// The statement writes one synced table and nothing else: its dry run is rolled back in the same flight.
    pub(super) known: bool,
    /// The portal must be bound again.
    pub(super) again: bool,
    pub(super) span: StatementSpan,
}

impl Execution {
    /// What ends the statement's waits.
    pub(super) fn limits(&mut self, settings: &planning::SessionSettings) -> WaitLimits {
        self.limits.get_or_insert_with(|| WaitLimits::new(self.started, settings, self.cancel.clone())).clone()
    }
}

/// What a dry run comes to.
pub(super) enum Next {
    RunAgain,
    /// `None`: the client has read an error.
    Done(Option<ResultSet>),
}
