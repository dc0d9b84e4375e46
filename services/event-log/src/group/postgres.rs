//! Membership by advisory locks: one session per member.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::item::{GroupItem, Items, KeyCollision};
use super::member::{Assigned, ItemEvent, Member};
use super::{Membership, MembershipEvent};

/// How a group is kept. The defaults suit one data centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupConfig {
    /// How often a member shows that it lives and looks whether its share has changed.
    pub tick: Duration,
    /// After how long a silence Postgres ends a member's session (`idle_session_timeout`), which frees its items: for
    /// processes that are stopped but not dead, and for networks that swallow the end of a connection.
    pub session_timeout: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { tick: Duration::from_millis(250), session_timeout: Duration::from_secs(10) }
    }
}

/// A member of a group whose items are advisory locks in Postgres. Every member looks at the locks of all, comes to the
/// same fair division, recalls from itself what is too much and takes what is free and its own.
///
/// Needs a session of its own: not through a pooler in transaction mode.
#[derive(Debug)]
pub struct PgMembership<I = u16> {
    items: Items<I>,
    events: mpsc::Receiver<ItemEvent>,
    given_back: mpsc::Sender<Assigned>,
    /// What the stage works under, by key.
    assignments: BTreeMap<i32, Assigned>,
}

impl PgMembership<u16> {
    /// Joins, in the background, a group that shares the items `0..items`: while Postgres is away it keeps trying, and
    /// members go on with what they have.
    ///
    /// After `shutdown` it takes nothing new and counts no longer as a member; what it has stays locked until it is given
    /// back or the membership is dropped.
    pub fn join(
        options: PgConnectOptions,
        group: &str,
        items: u16,
        config: GroupConfig,
        shutdown: CancellationToken,
    ) -> Self {
        Self::start(&options, group, Items::numbered(items), config, shutdown)
    }
}

impl PgMembership<String> {
    /// As [`PgMembership::join`], a group that shares items by name. Members may differ in what they know: each gets only
    /// what it names here, and what only one names, that one gets.
    ///
    /// # Errors
    /// If two of the names cannot be told apart by their locks.
    pub fn join_named(
        options: PgConnectOptions,
        group: &str,
        names: impl IntoIterator<Item = String>,
        config: GroupConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, KeyCollision> {
        Ok(Self::start(&options, group, Items::named(names)?, config, shutdown))
    }
}

impl<I: GroupItem> PgMembership<I> {
    fn start(
        options: &PgConnectOptions,
        group: &str,
        items: Items<I>,
        config: GroupConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let (event_sender, events) = mpsc::channel(items.len().max(1));
        let (given_back, take_back) = mpsc::channel(items.len().max(1));
        let member = Member::new(options, group, items.clone(), config);
        tokio::spawn(member.run(event_sender, take_back, shutdown));
        Self { items, events, given_back, assignments: BTreeMap::new() }
    }
}

#[async_trait]
impl<I: GroupItem> Membership<I> for PgMembership<I> {
    async fn changed(&mut self) -> MembershipEvent<I> {
        loop {
            let Some(ItemEvent { event, assignment }) = self.events.recv().await else {
                return std::future::pending().await;
            };
            let key = match event {
                MembershipEvent::Assigned(key) => {
                    self.assignments.insert(key, Assigned { key, assignment });
                    key
                }
                MembershipEvent::Lost(key) => {
                    self.assignments.remove(&key);
                    key
                }
                MembershipEvent::Recalled(key) => key,
            };
            // The member has no other keys than these.
            if let Some(item) = self.items.get(key).cloned() {
                return event.map(|_| item);
            }
        }
    }

    async fn give_back(&mut self, item: I) {
        let assigned = self.items.key_of(&item).and_then(|key| self.assignments.remove(&key));
        if let Some(assigned) = assigned {
            // The member ends before its handle only if its runtime does.
            let _ = self.given_back.send(assigned).await;
        }
    }
}
