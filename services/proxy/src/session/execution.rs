//! A captured statement on its way: what is run, and what is remembered over all its dry runs.

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::result_set::ResultSet;
use super::span::Traced;
use crate::capture;
use crate::classify::Capture;
use crate::error::PgError;
use crate::hold::{Limits, Turn};
use crate::returning::Returning;
use crate::wire::Frame;

/// What is to be run.
pub(super) struct CapturedStatement {
    /// The portal that the client executes; the proxy's own for a simple query.
    pub(super) portal: Bytes,
    /// The Bind that made it.
    pub(super) bind: Frame,
    /// A simple query: its text.
    pub(super) query: Option<Bytes>,
    pub(super) capture: Box<Capture>,
    pub(super) max_rows: i32,
}

impl CapturedStatement {
    /// The client's RETURNING, if the statement is plain and has one.
    pub(super) fn returning(&self) -> Option<&Returning> {
        self.capture.plain.as_ref().and_then(|plain| plain.returning.as_ref())
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

/// State of one statement over all its dry runs.
pub(super) struct Attempt {
    pub(super) started: Instant,
    pub(super) turn: Turn,
    pub(super) limits: Option<Limits>,
    pub(super) cancel: CancellationToken,
    /// Roll back in the same flight.
    pub(super) known: bool,
    /// The portal must be bound again.
    pub(super) again: bool,
    pub(super) traced: Traced,
}

impl Attempt {
    /// What ends the statement's waits: as its first dry run found the session's settings.
    pub(super) fn limits(&mut self, session: &capture::Session) -> Limits {
        self.limits.get_or_insert_with(|| Limits::new(self.started, session, self.cancel.clone())).clone()
    }
}

/// What a dry run comes to.
pub(super) enum Next {
    RunAgain,
    Done(Option<ResultSet>),
}
