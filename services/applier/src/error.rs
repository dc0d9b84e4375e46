//! Why the applier stopped.

use upwrite_event_log::LogError;
use upwrite_events::{MutationId, Partition};

/// What ends [`crate::run`]. Everything that may pass is retried inside.
#[derive(Debug, thiserror::Error)]
pub enum ApplierError {
    /// The log is not the one it was: restored, truncated, or another one.
    #[error("the log cannot be followed")]
    Log(#[from] LogError),
    #[error("partition {0} of the log ended")]
    LogEnded(Partition),
    /// The projections name a request that does not stand where they say.
    #[error("the request of mutation {mutation} is not at position {position} of {partition}")]
    RequestMissing { mutation: MutationId, partition: Partition, position: upwrite_events::Position },
    #[error("the clock that runs during suspend cannot be read")]
    Clock(#[source] std::io::Error),
}
