//! Why publishing ends, and why a step of it does not work.

use upwrite_events::TableName;

/// Why publishing ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// Another publisher has this table now.
    #[error("another publisher of {0} has taken over")]
    Fenced(TableName),
    /// Options or schemas are not what they must be: trying again would change nothing.
    #[error("records of {table} cannot be published: {reason}")]
    Mismatch { table: TableName, reason: String },
    #[error("publishing of records failed: {0}")]
    Failed(String),
}

/// Why a step did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Fenced,
    /// Will not pass by itself.
    Mismatch(String),
    /// May pass, or people will mend it: to be tried again, from the start.
    Away(String),
}

impl Failure {
    pub(super) fn away(error: impl std::fmt::Display) -> Self {
        Self::Away(error.to_string())
    }
}
