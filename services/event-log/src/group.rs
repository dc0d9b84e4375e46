//! Who does what: the members of a group share items (partitions by number, sources by name) among them.

mod item;
mod lock_session;
mod member;
mod membership_event;
mod postgres;
mod share;

use std::collections::VecDeque;

use async_trait::async_trait;

pub use item::{GroupItem, KeyCollision};
pub use membership_event::MembershipEvent;
pub use postgres::{GroupConfig, PgMembership};

/// A member's part in its group. Assignment spares work and conflict; no promise rests on it: two members may believe
/// for a while that they have the same item. What may be done with a partition is decided in the log (`PartitionTaken`)
/// and by the epoch of its position.
#[async_trait]
pub trait Membership<I: GroupItem = u16>: Send + 'static {
    /// The next event; waits for ever if there will be none. Cancel-safe.
    async fn changed(&mut self) -> MembershipEvent<I>;

    /// The item's work has ended: another member may have it.
    async fn give_back(&mut self, item: I);
}

/// The only member of its group: has every item from the start, for ever.
#[derive(Debug)]
pub struct SoleMember<I = u16> {
    next: VecDeque<I>,
}

impl SoleMember<u16> {
    /// With the items `0..items`.
    pub fn new(items: u16) -> Self {
        Self { next: (0..items).collect() }
    }
}

impl SoleMember<String> {
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        Self { next: names.into_iter().collect() }
    }
}

#[async_trait]
impl<I: GroupItem> Membership<I> for SoleMember<I> {
    async fn changed(&mut self) -> MembershipEvent<I> {
        match self.next.pop_front() {
            Some(item) => MembershipEvent::Assigned(item),
            None => std::future::pending().await,
        }
    }

    async fn give_back(&mut self, _: I) {}
}
