//! What happened: every effect on a record, and every request received.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// Entries kept of each journal; older ones are dropped, and counted.
pub(crate) const JOURNAL_LIMIT: usize = 1_000_000;

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectOp {
    /// A new record.
    Create,
    /// Changed fields.
    Update,
    /// Gone, or into the recycle bin.
    Delete,
    /// Out of the recycle bin (third-party changes only).
    Undelete,
}

/// One field's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Value before; null on create.
    pub before: Value,
    /// Value after.
    pub after: Value,
}

/// One change of one record that really happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// 1, 2, 3, … in the order in which the effects happened; the journal gives it.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// What was done.
    pub op: EffectOp,
    /// API name of the object.
    pub object: String,
    /// Id of the record, in its canonical form.
    pub id: String,
    /// The idempotency key that the record was created with, where it is known.
    pub key: Option<String>,
    /// Changed fields, without the stamps that move with every write.
    pub changes: BTreeMap<String, Change>,
    /// `seq` of the request that did it; none for third-party changes.
    pub request: Option<u64>,
    /// The user it was done as, by id.
    pub user: String,
}

/// One request received on the API (not the admin calls).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestEntry {
    /// 1, 2, 3, … in the order of arrival.
    pub seq: u64,
    /// Arrival, milliseconds since 1970.
    pub at_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Header of that name.
    #[serde(default)]
    pub traceparent: Option<String>,
    /// What it asks for: `token`, `query`, `create`, `update`, …
    pub op: String,
    /// Objects it names.
    pub objects: Vec<String>,
    /// Word of the fault that was put on it.
    pub fault: Option<String>,
    /// HTTP status of the answer; none while unanswered, and for ever if the answer was lost.
    pub status: Option<u16>,
    /// When handling ended, microseconds after arrival of its first byte.
    pub ended_us: Option<u64>,
    /// When the last byte of the answer was handed to the kernel, microseconds after arrival of the first byte.
    pub answered_us: Option<u64>,
}

/// Effects in order, oldest first. The vendor writes to it while it has its records locked, so that their order is
/// the one in which they happened.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Effects>);

#[derive(Debug, Default)]
struct Effects {
    last: u64,
    list: VecDeque<Effect>,
}

impl Journal {
    fn effects(&self) -> MutexGuard<'_, Effects> {
        // A panic can only come between two pushes, which leave nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an effect and gives it its `seq`.
    pub fn push(&self, mut effect: Effect) {
        let mut effects = self.effects();
        effects.last += 1;
        effect.seq = effects.last;
        if effects.list.len() == JOURNAL_LIMIT {
            effects.list.pop_front();
        }
        effects.list.push_back(effect);
    }

    /// Effects with a greater `seq`, oldest first.
    pub fn after(&self, seq: u64) -> Vec<Effect> {
        self.page(seq, usize::MAX).0
    }

    /// At most `limit` of them, and the `seq` of the newest of all.
    pub(crate) fn page(&self, seq: u64, limit: usize) -> (Vec<Effect>, u64) {
        let effects = self.effects();
        let first = effects.list.front().map_or(1, |e| e.seq);
        let skip = usize::try_from((seq + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        (effects.list.iter().skip(skip).take(limit).cloned().collect(), effects.last)
    }

    /// `seq` of the newest effect; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.effects().last
    }

    /// Forgets everything, for the state after generating data.
    pub fn clear(&self) {
        *self.effects() = Effects::default();
    }
}

/// Milliseconds since 1970, as in [`Effect::at_ms`].
pub fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Requests in order of arrival, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u64,
    list: VecDeque<RequestEntry>,
}

impl Requests {
    /// Notes an arrival and gives it its number.
    pub(crate) fn begin(&mut self, at_ms: i64, method: &str, path: &str) -> u64 {
        self.last += 1;
        if self.list.len() == JOURNAL_LIMIT {
            self.list.pop_front();
        }
        self.list.push_back(RequestEntry {
            seq: self.last,
            at_ms,
            method: method.to_owned(),
            path: path.to_owned(),
            traceparent: None,
            op: String::new(),
            objects: Vec::new(),
            fault: None,
            status: None,
            ended_us: None,
            answered_us: None,
        });
        self.last
    }

    pub(crate) fn entry(&mut self, seq: u64) -> Option<&mut RequestEntry> {
        let first = self.list.front()?.seq;
        self.list.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    pub(crate) fn after(&self, seq: u64, limit: usize) -> Vec<RequestEntry> {
        let first = self.list.front().map_or(1, |e| e.seq);
        let skip = usize::try_from((seq + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.list.iter().skip(skip).take(limit).cloned().collect()
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last
    }
}
