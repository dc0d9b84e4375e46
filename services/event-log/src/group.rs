//! Who does what: the members of a group share numbered items (partitions, sources) among them.

mod member;
mod postgres;
mod session;
mod share;

use async_trait::async_trait;

pub use postgres::{GroupConfig, PgMembership};

/// What a member is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Begin with the item.
    Assigned(u16),
    /// Somebody else is to have it: end in good order, then [`Membership::give_back`].
    Recalled(u16),
    /// Somebody else may have it already (the member had lost its connection). Give-back is not needed.
    Lost(u16),
}

/// A member's place in its group. Assignment spares work and conflict; no promise rests on it: two members may believe
/// for a while that they have the same item. What may be done with a partition is settled in the log (`PartitionTaken`)
/// and by the epoch of its position.
#[async_trait]
pub trait Membership: Send + 'static {
    /// The next change; waits for ever if there will be none. Cancel-safe.
    async fn changed(&mut self) -> Change;

    /// The item's work has ended: somebody else may have it.
    async fn give_back(&mut self, item: u16);
}

/// The only member of its group: has every item from the start, for ever.
#[derive(Debug)]
pub struct Alone {
    next: u16,
    items: u16,
}

impl Alone {
    pub fn new(items: u16) -> Self {
        Self { next: 0, items }
    }
}

#[async_trait]
impl Membership for Alone {
    async fn changed(&mut self) -> Change {
        if self.next == self.items {
            return std::future::pending().await;
        }
        self.next += 1;
        Change::Assigned(self.next - 1)
    }

    async fn give_back(&mut self, _: u16) {}
}
