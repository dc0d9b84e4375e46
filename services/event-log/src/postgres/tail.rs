//! The newest records of a partition, for readers of the process that appended them: they need not ask Postgres.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use upwrite_events::Position;

use super::item::Encoded;
use crate::LogRecord;

/// Committed records, one behind the other without a gap; bounded in number and bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    max_records: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<(LogRecord, usize)>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self { max_records, max_bytes, kept: Mutex::default() }
    }

    /// Adds what was just committed. If another process appended in between, the records before that go.
    pub(crate) fn push(&self, records: Vec<LogRecord>, encoded: &[Encoded]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (record, encoded) in records.into_iter().zip(encoded) {
            if kept.records.back().is_some_and(|(last, _)| last.position.next() != record.position) {
                *kept = Kept::default();
            }
            kept.bytes += encoded.value.len();
            kept.records.push_back((record, encoded.value.len()));
            while kept.records.len() > self.max_records || kept.bytes > self.max_bytes {
                let Some((_, bytes)) = kept.records.pop_front() else { break };
                kept.bytes -= bytes;
            }
        }
    }

    /// Forgets everything: the log is not the one that this was the end of.
    pub(crate) fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    /// Up to `limit` records from `from` on, if the first of them is here.
    pub(crate) fn read(&self, from: Position, limit: usize) -> Option<Vec<LogRecord>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.records.front()?.0.position;
        let skip = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        if skip >= kept.records.len() || limit == 0 {
            return None;
        }
        Some(kept.records.iter().skip(skip).take(limit).map(|(record, _)| record.clone()).collect())
    }
}
