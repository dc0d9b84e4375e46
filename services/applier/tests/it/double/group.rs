//! A group whose shares the test itself deals out.

use async_trait::async_trait;
use tokio::sync::mpsc;
use upwrite_event_log::{Membership, MembershipEvent};

/// What the test holds of one member.
pub(crate) struct Dealer {
    events: mpsc::UnboundedSender<MembershipEvent>,
    given_back: mpsc::UnboundedReceiver<u16>,
}

struct DealtMembership {
    changes: mpsc::UnboundedReceiver<MembershipEvent>,
    give_back: mpsc::UnboundedSender<u16>,
}

/// A member, and the dealer that decides what it has.
pub(crate) fn dealt() -> (Dealer, Box<dyn Membership>) {
    let (sender, changes) = mpsc::unbounded_channel();
    let (give_back, given_back) = mpsc::unbounded_channel();
    (Dealer { events: sender, given_back }, Box::new(DealtMembership { changes, give_back }))
}

impl Dealer {
    pub(crate) fn assign(&self, item: u16) {
        let _ = self.events.send(MembershipEvent::Assigned(item));
    }

    pub(crate) fn lose(&self, item: u16) {
        let _ = self.events.send(MembershipEvent::Lost(item));
    }

    /// Until it has been given back.
    pub(crate) async fn recall(&mut self, item: u16) {
        let _ = self.events.send(MembershipEvent::Recalled(item));
        while self.given_back.recv().await.expect("the member ended without giving back") != item {}
    }
}

#[async_trait]
impl Membership for DealtMembership {
    async fn changed(&mut self) -> MembershipEvent {
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }

    async fn give_back(&mut self, item: u16) {
        let _ = self.give_back.send(item);
    }
}
