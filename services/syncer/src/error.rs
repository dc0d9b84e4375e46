use upwrite_connectors::UpstreamError;
use upwrite_event_log::LogError;

/// Why reading stopped. All but what [`SyncerError::is_final`] names passes: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SyncerError {
    #[error("the database failed in {doing}: {source}")]
    Database { doing: &'static str, source: sqlx::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("upstream: {}", failure.message)]
    Upstream { failure: Box<upwrite_events::Failure> },
    #[error("the clock that runs during suspend cannot be read")]
    Clock(#[source] std::io::Error),
}

impl SyncerError {
    /// Whether trying again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Log(LogError::Mismatch(_)) | Self::Clock(_))
    }
}

impl From<UpstreamError> for SyncerError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream { failure: Box::new(error.failure) }
    }
}

pub(crate) fn doing(what: &'static str) -> impl FnOnce(sqlx::Error) -> SyncerError {
    move |source| SyncerError::Database { doing: what, source }
}
