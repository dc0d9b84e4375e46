//! How a session ends, and what is said and done then.

use std::time::Duration;

use upwrite_events::MutationId;

use super::Session;
use crate::error::PgError;
use crate::wire::{FrameError, Lost, Malformed};

/// For the last words to a peer that may not be reading.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) enum End {
    /// It said Terminate, or is simply gone.
    ClientGone,
    /// The server closed the connection. Its own last words have been passed on if they could be.
    ServerGone,
    /// The server closed the connection while this mutation was held.
    ServerGoneHeld(MutationId),
    /// The client does not speak the protocol.
    Violation(PgError),
    Shutdown,
    /// Shutdown while a mutation waited to be taken by the log: it may be in it.
    ShutdownSubmitting,
    /// Shutdown while this mutation was held.
    ShutdownHeld(MutationId),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Client => Self::ClientGone,
            Lost::Server => Self::ServerGone,
            Lost::ClientInvalid(error @ FrameError::Type(_) | error @ FrameError::Length) => {
                Self::Violation(PgError::fatal("08P01", error.to_string()))
            }
        }
    }
}

impl From<Malformed> for End {
    fn from(error: Malformed) -> Self {
        Self::Violation(PgError::fatal("08P01", error.to_string()))
    }
}

impl Session {
    pub(super) async fn finish(mut self, end: End) {
        tracing::debug!(?end, pid = self.cancel.pid(), "session ended");
        if let Some(error) = last_words(&end, self.server_spoke) {
            self.link.client.send(&error.frame());
        }
        // Terminate: the server need not find out by itself.
        self.link.server.send(b"X\0\0\0\x04");
        let both = async {
            let _ = tokio::join!(self.link.client.finish(), self.link.server.finish());
        };
        let _ = tokio::time::timeout(FAREWELL, both).await;
        let outlived = self.block.take_all();
        if !outlived.is_empty() {
            self.shared.gate.outlived_rollback(&outlived, "connection ended").await;
        }
        if self.captures {
            let forgotten = sqlx::query("/* proxy.forget */ select upwrite.forget($1)")
                .bind(self.cancel.pid().cast_signed())
                .execute(&self.shared.control)
                .await;
            if let Err(error) = forgotten {
                tracing::debug!(%error, "a session's secret stays until the next clearing");
            }
        }
    }
}

fn last_words(end: &End, server_spoke: bool) -> Option<PgError> {
    match end {
        End::ClientGone => None,
        End::ServerGone if server_spoke => None,
        End::ServerGone => Some(PgError::fatal("08006", "the connection to PostgreSQL was lost")),
        End::ServerGoneHeld(mutation) => {
            Some(in_doubt(*mutation, "the connection to PostgreSQL was lost while a change was on its way upstream"))
        }
        End::Violation(error) => Some(error.clone()),
        End::Shutdown => Some(PgError::fatal("57P01", "terminating connection due to administrator command")),
        End::ShutdownSubmitting => Some(
            PgError::fatal("40003", "the proxy was shut down while a change was on its way to the event log")
                .with_detail("It is not known whether the log has it.\noutcome=unknown")
                .with_hint("Connect again and look for it in upwrite.mutations before running the statement again."),
        ),
        End::ShutdownHeld(mutation) => {
            Some(in_doubt(*mutation, "the proxy was shut down while a change was on its way upstream"))
        }
    }
}

/// 40003: nobody can tell this client now.
fn in_doubt(mutation: MutationId, message: &str) -> PgError {
    PgError::fatal("40003", message)
        .with_detail(format!("Mutation {mutation} goes on; its outcome is not known yet."))
        .with_hint(format!("Connect again and SELECT * FROM upwrite.await('{mutation}')."))
}
