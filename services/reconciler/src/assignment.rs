//! Which partitions this process has: the membership events of its group, kept until a term can follow them.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use upwrite_event_log::{Membership, MembershipEvent};

/// Partition numbers; each stands for that partition of both streams.
pub(crate) struct Assignment {
    membership: Box<dyn Membership>,
    items: BTreeSet<u16>,
    /// To be given back once no term works with them any more.
    recalled: BTreeSet<u16>,
    changed: bool,
}

/// When a term has to follow a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    AfterTheBatch,
    /// Another process may have a partition already: what is being done with it will not be committed.
    AtOnce,
}

impl Assignment {
    pub(crate) fn new(membership: Box<dyn Membership>) -> Self {
        Self { membership, items: BTreeSet::new(), recalled: BTreeSet::new(), changed: false }
    }

    /// The partitions that a new term begins with. Those recalled before are given back: no term has them now.
    pub(crate) async fn begin(&mut self) -> BTreeSet<u16> {
        while let Some(item) = self.recalled.pop_first() {
            self.membership.give_back(item).await;
        }
        self.changed = false;
        self.items.clone()
    }

    /// Waits for a change, and takes over what else is known by then. Cancel-safe.
    pub(crate) async fn changes(&mut self) -> Urgency {
        let first = self.membership.changed().await;
        let mut urgency = self.take(first);
        while let Some(next) = self.membership.changed().now_or_never() {
            urgency = urgency.max(self.take(next));
        }
        urgency
    }

    /// Whether the partitions are no longer those that the term began with.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    fn take(&mut self, change: MembershipEvent) -> Urgency {
        tracing::info!(?change, "the assignment of partitions changes");
        self.changed = true;
        match change {
            MembershipEvent::Assigned(item) => {
                self.items.insert(item);
            }
            MembershipEvent::Recalled(item) => {
                self.items.remove(&item);
                self.recalled.insert(item);
            }
            MembershipEvent::Lost(item) => {
                self.items.remove(&item);
                self.recalled.remove(&item);
                return Urgency::AtOnce;
            }
        }
        Urgency::AfterTheBatch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct ScriptedMembership(Vec<MembershipEvent>, Arc<Mutex<Vec<u16>>>);

    #[async_trait::async_trait]
    impl Membership for ScriptedMembership {
        async fn changed(&mut self) -> MembershipEvent {
            if self.0.is_empty() { std::future::pending().await } else { self.0.remove(0) }
        }

        async fn give_back(&mut self, item: u16) {
            self.1.lock().unwrap().push(item);
        }
    }

    #[tokio::test]
    async fn what_was_recalled_is_given_back_and_what_was_lost_is_not() {
        let back = Arc::new(Mutex::new(Vec::new()));
        let changes =
            (0..4).map(MembershipEvent::Assigned).chain([MembershipEvent::Recalled(1), MembershipEvent::Recalled(2)]);
        let mut assignment = Assignment::new(Box::new(ScriptedMembership(changes.collect(), Arc::clone(&back))));
        assert_eq!(assignment.changes().await, Urgency::AfterTheBatch);
        assert!(assignment.has_changed());
        assert_eq!(assignment.begin().await, BTreeSet::from([0, 3]));
        assert!(!assignment.has_changed());
        assert_eq!(*back.lock().unwrap(), [1, 2]);

        let changes = vec![
            MembershipEvent::Assigned(0),
            MembershipEvent::Assigned(1),
            MembershipEvent::Recalled(1),
            MembershipEvent::Lost(1),
        ];
        let mut assignment = Assignment::new(Box::new(ScriptedMembership(changes, Arc::clone(&back))));
        assert_eq!(assignment.changes().await, Urgency::AtOnce);
        assert_eq!(assignment.begin().await, BTreeSet::from([0]));
        assert_eq!(*back.lock().unwrap(), [1, 2]);
    }
}
