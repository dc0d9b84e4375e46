use upwrite_event_log::LogError;
use upwrite_events::TableName;

/// Why a rebuild ended early. It can always be run again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("{0} is not a synced table")]
    NoSuchTable(TableName),
    #[error("the database failed in {doing}: {source}")]
    Database { doing: &'static str, source: sqlx::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    /// Other transactions had locks all the time.
    #[error("no moment could be found at which {what}")]
    Busy { what: &'static str },
    /// Recovering is needed first.
    #[error("{0}; run `upwrite ctl recover`")]
    Refused(String),
    #[error("{what} cannot be read: {reason}")]
    Corrupt { what: &'static str, reason: String },
}

/// Names what was being done when the database failed.
pub(super) fn doing(what: &'static str) -> impl FnOnce(sqlx::Error) -> RebuildError {
    move |source| RebuildError::Database { doing: what, source }
}

impl RebuildError {
    /// A lock of another transaction, which goes away by itself.
    pub(super) fn is_lock(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        matches!(error.code().as_deref(), Some("55P03" | "40P01" | "40001"))
    }
}

impl From<crate::ReconcilerError> for RebuildError {
    fn from(error: crate::ReconcilerError) -> Self {
        match error {
            crate::ReconcilerError::Database { doing, source } => Self::Database { doing, source },
            crate::ReconcilerError::Log(error) => Self::Log(error),
            other => Self::Corrupt { what: "what is stored", reason: other.to_string() },
        }
    }
}
