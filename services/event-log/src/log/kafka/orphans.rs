//! Mutations that were claimed and whose request did not get in, or may not have: their claims must not stay.

use tokio::sync::mpsc;
use upwrite_events::{MutationId, Partition};

/// Ids that wait. What does not fit is left to the partition's reconciler, which ends aged claims without a request.
pub(super) const MAX_WAITING: usize = 65_536;

#[derive(Debug, Clone)]
pub(super) enum Orphan {
    /// The request may get in: `MutationVoided` must stand in the partition. Whichever comes first there counts.
    Void { partition: Partition, mutation: MutationId, reason: String },
    /// No request was sent: the claims can go.
    Release(MutationId),
}

/// The handle to the task.
pub(crate) struct Orphans {
    queue: mpsc::Sender<Orphan>,
}

pub(crate) struct Queue(pub(super) mpsc::Receiver<Orphan>);

pub(crate) fn queue() -> (Orphans, Queue) {
    let (queue, orphans) = mpsc::channel(MAX_WAITING);
    (Orphans { queue }, Queue(orphans))
}

impl Orphans {
    pub(crate) fn void(&self, partition: Partition, mutation: MutationId, reason: &str) {
        let reason = format!("the event log did not answer whether it took the request: {reason}");
        self.add(Orphan::Void { partition, mutation, reason });
    }

    pub(crate) fn release(&self, mutation: MutationId) {
        self.add(Orphan::Release(mutation));
    }

    fn add(&self, orphan: Orphan) {
        if let Err(error) = self.queue.try_send(orphan) {
            tracing::warn!(%error, "an orphan is left to the reconciler");
        }
    }
}
