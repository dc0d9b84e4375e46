//! Membership by advisory locks: one session per member.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::member::Member;
use super::{Change, Membership};

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

/// A change, and which assignment of the item it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) change: Change,
    pub(crate) assignment: u64,
}

/// A member of a group whose items are advisory locks in Postgres. Every member looks at the locks of all, comes to the
/// same fair division, recalls from itself what is too much and takes what is free.
///
/// Needs a session of its own: not through a pooler in transaction mode.
#[derive(Debug)]
pub struct PgMembership {
    changes: mpsc::Receiver<Told>,
    given_back: mpsc::Sender<(u16, u64)>,
    /// The assignment that the stage works under, by item.
    assignments: HashMap<u16, u64>,
}

impl PgMembership {
    /// Joins, in the background: while Postgres is away it keeps trying, and members go on with what they have.
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
        let (tell, changes) = mpsc::channel(usize::from(items).max(1));
        let (given_back, take_back) = mpsc::channel(usize::from(items).max(1));
        let member = Member::new(&options, group, items, config);
        tokio::spawn(member.run(tell, take_back, shutdown));
        Self { changes, given_back, assignments: HashMap::new() }
    }
}

#[async_trait]
impl Membership for PgMembership {
    async fn changed(&mut self) -> Change {
        let Some(told) = self.changes.recv().await else {
            return std::future::pending().await;
        };
        match told.change {
            Change::Assigned(item) => {
                self.assignments.insert(item, told.assignment);
            }
            Change::Lost(item) => {
                self.assignments.remove(&item);
            }
            Change::Recalled(_) => {}
        }
        told.change
    }

    async fn give_back(&mut self, item: u16) {
        if let Some(assignment) = self.assignments.remove(&item) {
            // The member ends before its handle only if its runtime does.
            let _ = self.given_back.send((item, assignment)).await;
        }
    }
}
