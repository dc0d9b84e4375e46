//! One partition, as its owner (or one who wants to be) sees it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use upwrite_events::{
    Event, Lifecycle, MutationId, MutationRequested, OwnerId, Partition, PartitionFold, PartitionTaken, Position,
};

use crate::lease::Lease;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The own marker has not come by yet: nothing is called.
    CatchingUp,
    Owner,
    /// Somebody else's marker came after ours: nothing is called any more.
    Ousted,
}

pub(crate) struct Owned {
    pub(crate) partition: Partition,
    pub(crate) owner: OwnerId,
    pub(crate) stage: Stage,
    pub(crate) fold: PartitionFold,
    /// The first position not folded yet.
    pub(crate) read_to: Position,
    pub(crate) lease: Lease,
    /// An append of the marker is under way.
    pub(crate) renewing: bool,
    /// Requests of mutations that are not released; kept only until the own marker has come by.
    pub(crate) requests: HashMap<MutationId, Arc<MutationRequested>>,
    /// Jobs that wait for the lease.
    pub(crate) waiting: Vec<MutationId>,
    /// Announced attempts that wait to be read back: the call may start once the log has been read beyond the position.
    pub(crate) announced: Vec<(Position, MutationId, Vec<u32>)>,
    /// Appends under way, the release excepted.
    pub(crate) appending: usize,
    /// The release is under way, or done.
    pub(crate) releasing: bool,
    pub(crate) released: bool,
}

impl Owned {
    pub(crate) fn new(
        partition: Partition,
        owner: OwnerId,
        lease: Duration,
        from: (Position, Option<OwnerId>),
        unreleased: Vec<(MutationId, Lifecycle)>,
    ) -> Self {
        Self {
            partition,
            owner,
            stage: Stage::CatchingUp,
            fold: PartitionFold::restore(from.1, unreleased),
            read_to: from.0,
            lease: Lease::new(lease),
            renewing: false,
            requests: HashMap::new(),
            waiting: Vec::new(),
            announced: Vec::new(),
            appending: 0,
            releasing: false,
            released: false,
        }
    }

    /// The marker; appended again, by the same owner, it renews the lease.
    pub(crate) fn marker(&self) -> Event {
        let lease_ms = u32::try_from(self.lease.length().as_millis()).unwrap_or(u32::MAX);
        Event::PartitionTaken(PartitionTaken { owner: self.owner, process: process(), lease_ms })
    }

    /// The announced attempts that have been read back.
    pub(crate) fn take_announced(&mut self) -> Vec<(MutationId, Vec<u32>)> {
        let read_to = self.read_to;
        let (ready, rest) = std::mem::take(&mut self.announced).into_iter().partition(|(at, _, _)| *at < read_to);
        self.announced = rest;
        let ready: Vec<(Position, MutationId, Vec<u32>)> = ready;
        ready.into_iter().map(|(_, mutation, rows)| (mutation, rows)).collect()
    }
}

/// Who we are, for people.
fn process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}
