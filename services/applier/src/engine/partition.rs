//! One partition, as its owner (or one who wants to be) sees it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use upwrite_event_log::Moment;
use upwrite_events::{
    Event, Lifecycle, MutationId, MutationRequested, OwnerId, Partition, PartitionFold, PartitionTaken, Position,
};

use tokio::task::AbortHandle;

use super::JobId;
use crate::lease::Lease;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerState {
    /// The own marker has not come by yet: nothing is called.
    CatchingUp,
    Owner,
    /// Another marker came after ours: nothing is called any more.
    Ousted,
}

pub(crate) struct Ownership {
    pub(crate) partition: Partition,
    pub(crate) owner: OwnerId,
    /// Ids of markers whose append had no answer: they may still come by, even behind the one that counts.
    pub(crate) abandoned: Vec<OwnerId>,
    pub(crate) state: OwnerState,
    pub(crate) fold: PartitionFold,
    /// The first position not folded yet.
    pub(crate) read_to: Position,
    pub(crate) lease: Lease,
    /// An append that will renew the lease is under way.
    pub(crate) renewing: bool,
    /// Acknowledged appends that have not been read back: where they stand, and when they were sent.
    acknowledged: Vec<(Position, Moment)>,
    /// Requests of mutations that are not released; kept only until the own marker has come by.
    pub(crate) requests: HashMap<MutationId, Arc<MutationRequested>>,
    /// Jobs that wait for the lease.
    pub(crate) waiting: Vec<JobId>,
    /// Announced attempts that wait to be read back: the call may start once the log has been read beyond the position.
    pub(crate) announced: Vec<(Position, JobId, Vec<u32>)>,
    /// Appends under way, the release excepted.
    pub(crate) appending: usize,
    /// Since when it is to be given back: nothing new is called.
    pub(crate) draining: Option<Moment>,
    /// The release is under way, or done.
    pub(crate) releasing: bool,
    pub(crate) released: bool,
    /// A predecessor may have sent something that no event can say: no orderly end.
    pub(crate) doubtful: bool,
    /// Hands on what the partition holds; ends with the term.
    pub(crate) reader: Option<AbortHandle>,
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.stop_reading();
    }
}

impl Ownership {
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
            abandoned: Vec::new(),
            state: OwnerState::CatchingUp,
            fold: PartitionFold::restore(from.1, unreleased),
            read_to: from.0,
            lease: Lease::new(lease),
            renewing: true,
            acknowledged: Vec::new(),
            requests: HashMap::new(),
            waiting: Vec::new(),
            announced: Vec::new(),
            appending: 0,
            draining: None,
            releasing: false,
            released: false,
            doubtful: false,
            reader: None,
        }
    }

    pub(crate) fn stop_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
    }

    /// The marker. Appended once under each owner id: were it repeated, a straggler could take the partition back from
    /// a successor that would not learn of it.
    pub(crate) fn marker(&self) -> Event {
        let lease_ms = u32::try_from(self.lease.length().as_millis()).unwrap_or(u32::MAX);
        Event::PartitionTaken(PartitionTaken { owner: self.owner, process: process(), lease_ms })
    }

    /// An append of ours is acknowledged. It renews the lease only once it has been read back: what stands behind
    /// another marker renews nothing.
    pub(crate) fn acknowledged(&mut self, position: Position, sent: Moment) {
        self.acknowledged.push((position, sent));
    }

    /// Renews the lease by what has been read back; whether anything has.
    pub(crate) fn confirm(&mut self) -> bool {
        let read_to = self.read_to;
        let (read, rest) = std::mem::take(&mut self.acknowledged).into_iter().partition(|(at, _)| *at < read_to);
        self.acknowledged = rest;
        let read: Vec<(Position, Moment)> = read;
        if self.state != OwnerState::Owner || read.is_empty() {
            return false;
        }
        for (_, sent) in read {
            self.lease.renew(sent);
        }
        self.renewing = false;
        true
    }

    /// The announced attempts that have been read back.
    pub(crate) fn take_announced(&mut self) -> Vec<(JobId, Vec<u32>)> {
        let read_to = self.read_to;
        let (ready, rest) = std::mem::take(&mut self.announced).into_iter().partition(|(at, _, _)| *at < read_to);
        self.announced = rest;
        let ready: Vec<(Position, JobId, Vec<u32>)> = ready;
        ready.into_iter().map(|(_, id, rows)| (id, rows)).collect()
    }
}

/// Who we are, for people.
fn process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}
