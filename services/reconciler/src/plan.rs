//! What a batch amounts to. Pure.

use std::collections::{BTreeMap, HashSet};

use upwrite_event_log::LogRecord;
use upwrite_events::{MutationId, OwnerId, Partition, Position, TableName};

use crate::merge::Image;
use crate::state::State;

/// Bytes or an event that could not be folded in.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) record: LogRecord,
    pub(crate) reason: String,
}

/// A real key that belongs to a create, which may not be finished: it must not become visible unclaimed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EarlyClaim {
    pub(crate) table: TableName,
    /// `<column>=<key>`, as in `upwrite.claims`.
    pub(crate) key: String,
    pub(crate) mutation: MutationId,
}

/// How far a batch moves a partition on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// The first position not folded.
    pub(crate) next: Position,
    /// The partition's applier there.
    pub(crate) owner: Option<OwnerId>,
    /// When the last folded record was appended: distinguishes this log from another one that is as long.
    pub(crate) stamp_us: i64,
}

pub(crate) type Advances = BTreeMap<Partition, Advance>;

/// One batch's effects, in log order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) images: Vec<(TableName, Image)>,
    /// How many of the images are of records that their mutations have made.
    pub(crate) created: usize,
    pub(crate) touched: Vec<MutationId>,
    pub(crate) early_claims: Vec<EarlyClaim>,
    pub(crate) rereads: Vec<(TableName, String)>,
    pub(crate) dead: Vec<DeadLetter>,
    /// Events of mutations that this partition does not know: dead letters, unless those were released long ago.
    pub(crate) unknown: Vec<(MutationId, DeadLetter)>,
    /// Mutations that stand although the client's transaction was rolled back, and that are no longer tracked.
    pub(crate) outlived: Vec<MutationId>,
    pub(crate) positions: Advances,
}

impl Plan {
    /// Whether losing this batch in a crash costs nothing but reading it again: it changes no synced table, releases no
    /// claim and gives no verdict, so there is no need to wait for the disk.
    pub(crate) fn may_be_lost(&self, state: &State) -> bool {
        let open = |mutation: &MutationId| {
            let life = state.tracked.get(mutation).and_then(|tracked| tracked.status.lifecycle.as_ref());
            life.is_some_and(|life| !life.phase.is_finished())
        };
        self.images.is_empty() && self.early_claims.is_empty() && self.touched.iter().all(open)
    }

    /// Whether there is most probably nothing that must be read before it is written: statuses alone, or rows of one table
    /// that mutations have made just now, which cannot have been written or locked before.
    pub(crate) fn is_ordinary(&self) -> bool {
        let mut keys = HashSet::new();
        let one_table = |(table, _): &(TableName, Image)| self.images.first().is_some_and(|(first, _)| first == table);
        self.created == self.images.len()
            && self.images.iter().all(one_table)
            && self.images.iter().all(|(_, image)| keys.insert(&image.key))
            && self.early_claims.is_empty()
            && self.rereads.is_empty()
            && self.dead.is_empty()
            && self.outlived.is_empty()
    }

    /// Of the unknown mutations, Postgres says that these were `released`: their events only came late.
    pub(crate) fn resolve_unknown(&mut self, released: &HashSet<MutationId>) {
        let unknown = std::mem::take(&mut self.unknown);
        let impossible = unknown.into_iter().filter(|(mutation, _)| !released.contains(mutation));
        self.dead.extend(impossible.map(|(_, letter)| letter));
    }
}
