//! Why a connection did not become a session.

use crate::error::PgError;

#[derive(Debug)]
pub(crate) enum LoginError {
    /// The client reads it, then the connection is closed.
    Refused(PgError),
    /// PostgreSQL's own words, a whole ErrorResponse.
    Forward(bytes::Bytes),
    /// The client is gone.
    Gone,
}

impl From<std::io::Error> for LoginError {
    fn from(error: std::io::Error) -> Self {
        tracing::debug!(%error, "connection lost during login");
        Self::Gone
    }
}

impl From<crate::wire::Malformed> for LoginError {
    fn from(error: crate::wire::Malformed) -> Self {
        Self::Refused(PgError::fatal("08P01", error.to_string()))
    }
}

impl From<PgError> for LoginError {
    fn from(error: PgError) -> Self {
        Self::Refused(error)
    }
}
