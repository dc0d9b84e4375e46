//! What the client is told, once it is known.

use crate::error::PgError;

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Success(Success),
    Failure(PgError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Real keys in row order; empty with `upwrite.ack = accepted`, where nobody knows them yet.
    pub keys: Vec<String>,
    /// The synced table shows it: `RETURNING` may be evaluated again. Else answer from the buffered rows.
    pub reconciled: bool,
    /// To be sent before the tag.
    pub warning: Option<PgError>,
}
