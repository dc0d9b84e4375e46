//! How a session ends, and what is said then. Pure.

use upwrite_events::MutationId;

use crate::error::PgError;
use crate::wire::{Disconnect, FrameError, Malformed};

#[derive(Debug)]
pub(super) enum End {
    /// The client said Terminate, or its connection was lost.
    ClientGone,
    /// The server closed the connection. Its reason, if it gave one, has been relayed.
    ServerGone,
    /// The server closed the connection while this mutation was held.
    ServerGoneHeld(MutationId),
    /// The client does not speak the protocol.
    Violation(PgError),
    Shutdown,
    /// Shutdown while a submission was with the log, which may have it.
    ShutdownSubmitting,
    /// Shutdown while this mutation was held.
    ShutdownHeld(MutationId),
}

impl From<Disconnect> for End {
    fn from(lost: Disconnect) -> Self {
        match lost {
            Disconnect::Client => Self::ClientGone,
            Disconnect::Server => Self::ServerGone,
            Disconnect::ClientInvalid(error @ FrameError::Type(_) | error @ FrameError::Length) => {
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

/// What the client reads last, if anything is left to be said.
pub(super) fn last_words(end: &End, server_spoke: bool) -> Option<PgError> {
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

/// 40003: the outcome is not known, and this connection ends.
fn in_doubt(mutation: MutationId, message: &str) -> PgError {
    PgError::fatal("40003", message)
        .with_detail(format!("Mutation {mutation} goes on; its outcome is not known yet."))
        .with_hint(format!("Connect again and SELECT * FROM upwrite.await('{mutation}')."))
}
