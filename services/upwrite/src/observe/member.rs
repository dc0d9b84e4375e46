//! A membership that can be looked at from outside the stage that has it.

use std::collections::HashSet;

use async_trait::async_trait;
use tokio::sync::watch;
use upwrite_event_log::{Change, Membership};

/// Passes everything on, and keeps count of the items.
pub(super) struct CountedMembership {
    inner: Box<dyn Membership>,
    items: HashSet<u16>,
    count: watch::Sender<usize>,
}

impl CountedMembership {
    pub(super) fn new(inner: Box<dyn Membership>) -> (Self, watch::Receiver<usize>) {
        let (count, counted) = watch::channel(0);
        (Self { inner, items: HashSet::new(), count }, counted)
    }
}

#[async_trait]
impl Membership for CountedMembership {
    async fn changed(&mut self) -> Change {
        let change = self.inner.changed().await;
        match change {
            Change::Assigned(item) => drop(self.items.insert(item)),
            Change::Lost(item) => drop(self.items.remove(&item)),
            Change::Recalled(_) => {}
        }
        self.count.send_replace(self.items.len());
        change
    }

    async fn give_back(&mut self, item: u16) {
        self.items.remove(&item);
        self.count.send_replace(self.items.len());
        self.inner.give_back(item).await;
    }
}

#[cfg(test)]
mod tests {
    use upwrite_event_log::Alone;

    use super::*;

    #[tokio::test]
    async fn what_is_given_back_is_not_had() {
        let (mut member, items) = CountedMembership::new(Box::new(Alone::new(2)));
        assert_eq!(*items.borrow(), 0);
        let (first, _second) = (member.changed().await, member.changed().await);
        assert_eq!((first, *items.borrow()), (Change::Assigned(0), 2));
        member.give_back(0).await;
        assert_eq!(*items.borrow(), 1);
    }
}
