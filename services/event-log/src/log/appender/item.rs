//! What waits for the appender.

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use upwrite_events::{Event, MAX_EVENT_BYTES, MutationId, Partition, Position, encode};

use crate::{Claim, LogError, Submission, VersionCheck};

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// Its events stand from here on, one behind the other.
    Accepted(Position),
    Claimed {
        claim: Claim,
        by: MutationId,
    },
    Stale,
    /// The claims are held; there was no event to append.
    Reserved,
}

/// An event with its encoding. The event itself is kept for readers of the same process.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) event: Event,
    pub(crate) value: Vec<u8>,
}

/// An append or a submission: all or nothing.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) partition: Partition,
    /// Whose the claims are.
    pub(crate) mutation: Option<MutationId>,
    /// Sorted, each once.
    pub(crate) claims: Vec<Claim>,
    pub(crate) versions: Vec<VersionCheck>,
    /// Empty: it only claims.
    pub(crate) events: Vec<Encoded>,
    pub(crate) bytes: usize,
}

impl Item {
    pub(crate) fn append(partition: Partition, events: Vec<Event>) -> Result<Self, LogError> {
        let events = events.into_iter().map(encoded).collect::<Result<Vec<_>, _>>()?;
        let bytes = events.iter().map(|event| event.value.len()).sum();
        Ok(Self { partition, mutation: None, claims: Vec::new(), versions: Vec::new(), events, bytes })
    }

    pub(crate) fn submit(partition: Partition, submission: Submission) -> Result<Self, LogError> {
        let Submission { claims, versions, request } = submission;
        let mutation = request.mutation;
        let event = encoded(Event::MutationRequested(request))?;
        let bytes = event.value.len();
        Ok(Self { events: vec![event], bytes, ..Self::claim(partition, mutation, claims, versions) })
    }

    /// Claims for a request that goes elsewhere.
    pub(crate) fn claim(
        partition: Partition,
        mutation: MutationId,
        mut claims: Vec<Claim>,
        versions: Vec<VersionCheck>,
    ) -> Self {
        claims.sort_unstable();
        claims.dedup();
        let bytes =
            claims.iter().map(|claim| claim.key.0.len()).chain(versions.iter().map(|check| check.key.len())).sum();
        Self { partition, mutation: Some(mutation), claims, versions, events: Vec::new(), bytes }
    }
}

/// # Errors
/// `TooLarge`, or `NotAppended` if the schemas and the types have parted.
pub(crate) fn encoded(event: Event) -> Result<Encoded, LogError> {
    let value = encode(&event).map_err(|error| LogError::NotAppended(error.to_string()))?;
    if value.len() > MAX_EVENT_BYTES {
        return Err(LogError::TooLarge { bytes: value.len(), limit: MAX_EVENT_BYTES });
    }
    Ok(Encoded { event, value })
}

/// An item, the caller that waits for it, and its share of the queue's bytes.
#[derive(Debug)]
pub(crate) struct QueuedItem {
    pub(crate) item: Item,
    pub(crate) answer: oneshot::Sender<Result<Done, LogError>>,
    pub(crate) _bytes: OwnedSemaphorePermit,
}
