use upwrite_event_log::LogError;
use upwrite_events::Partition;

/// Why the reconciler stopped, or began again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcilerError {
    /// Passing: the loop begins again from what is in Postgres.
    #[error("the database failed in {doing}: {source}")]
    Database { doing: &'static str, source: sqlx::Error },
    /// Passing, unless it is a mismatch.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another reconciler took over: this one must not write any more of that partition. Passing: the process goes on
    /// with the partitions that it still has.
    #[error("another reconciler took over partition {0}")]
    Ousted(Partition),
    /// Another reconciler wrote a record that was not known before. Passing: the batch is repeated.
    #[error("another reconciler wrote the same new record first")]
    Raced,
    /// What is stored does not read back; an operator has to look.
    #[error("{what} cannot be read: {reason}")]
    Corrupt { what: &'static str, reason: String },
}

impl ReconcilerError {
    /// Whether beginning again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Log(LogError::Mismatch(_)))
    }

    /// Whether only another transaction was in the way: the same one again can succeed.
    pub(crate) fn is_contention(&self) -> bool {
        match self {
            Self::Raced => true,
            Self::Database { source: sqlx::Error::Database(error), .. } => {
                matches!(error.code().as_deref(), Some("40P01" | "40001" | "55P03"))
            }
            _ => false,
        }
    }
}

/// Names what was being done when the database failed.
pub(crate) fn doing(what: &'static str) -> impl FnOnce(sqlx::Error) -> ReconcilerError {
    move |source| ReconcilerError::Database { doing: what, source }
}
