//! What an applier is about, for people.

use serde::Serialize;
use upwrite_events::{OwnerId, Position};

/// Published every second through [`crate::Config::status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApplierStatus {
    /// Those that the group has given to this applier.
    pub partitions: Vec<PartitionStatus>,
    pub sources: Vec<SourceStatus>,
}

/// One partition of the mutations stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    pub partition: u16,
    #[serde(rename = "stage")]
    pub state: PartitionState,
    /// As whom this applier has taken it, or is about to.
    pub owner: Option<OwnerId>,
    /// For how long calls may still be running without another word in the log.
    pub lease_left_ms: u64,
    /// The first position not read.
    pub read_to: Option<Position>,
    /// Mutations at hand.
    pub jobs: usize,
    /// Why it stands still.
    pub halted: Option<String>,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// The snapshot is being read.
    Starting,
    /// Taken; the own marker has not come by yet.
    CatchingUp,
    Owner,
    /// To be given back as soon as nothing is in flight.
    Draining,
    /// Another process took it; about to be taken again.
    Ousted,
    /// It holds what only a newer version can read.
    Halted,
}

impl PartitionState {
    pub(crate) const ALL: [Self; 6] =
        [Self::Starting, Self::CatchingUp, Self::Owner, Self::Draining, Self::Ousted, Self::Halted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::Owner => "owner",
            Self::Draining => "draining",
            Self::Ousted => "ousted",
            Self::Halted => "halted",
        }
    }
}

/// One source's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    pub source: String,
    /// Calls and look-ups under way.
    pub in_flight: usize,
    /// Mutations that wait for a call, and for how long the first of them has.
    pub queued: usize,
    pub oldest_ms: u64,
}
