//! A membership that can be looked at from outside the stage that has it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use tokio::sync::watch;
use upwrite_event_log::{GroupItem, Membership, MembershipEvent};

/// Passes everything on, and keeps count of the items.
pub(super) struct CountedMembership<I> {
    inner: Box<dyn Membership<I>>,
    items: BTreeSet<I>,
    count: watch::Sender<usize>,
}

impl<I: GroupItem> CountedMembership<I> {
    pub(super) fn new(inner: Box<dyn Membership<I>>) -> (Self, watch::Receiver<usize>) {
        let (count, counted) = watch::channel(0);
        (Self { inner, items: BTreeSet::new(), count }, counted)
    }
}

#[async_trait]
impl<I: GroupItem> Membership<I> for CountedMembership<I> {
    async fn changed(&mut self) -> MembershipEvent<I> {
        let event = self.inner.changed().await;
        match &event {
            MembershipEvent::Assigned(item) => drop(self.items.insert(item.clone())),
            MembershipEvent::Lost(item) => drop(self.items.remove(item)),
            MembershipEvent::Recalled(_) => {}
        }
        self.count.send_replace(self.items.len());
        event
    }

    async fn give_back(&mut self, item: I) {
        self.items.remove(&item);
        self.count.send_replace(self.items.len());
        self.inner.give_back(item).await;
    }
}

#[cfg(test)]
mod tests {
    use upwrite_event_log::SoleMember;

    use super::*;

    #[tokio::test]
    async fn what_is_given_back_is_not_had() {
        let (mut member, items) = CountedMembership::new(Box::new(SoleMember::new(2)));
        assert_eq!(*items.borrow(), 0);
        let (first, _second) = (member.changed().await, member.changed().await);
        assert_eq!((first, *items.borrow()), (MembershipEvent::Assigned(0), 2));
        member.give_back(0).await;
        assert_eq!(*items.borrow(), 1);
    }
}
