//! The newest records of a partition, for readers of the process that appended them: they need not ask for them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use upwrite_events::Position;

use crate::LogRecord;

/// Committed records, one behind the other without a gap; bounded in number and bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    max_records: usize,
    max_bytes: usize,
    newest: Mutex<TailRecords>,
}

#[derive(Debug, Default)]
struct TailRecords {
    records: VecDeque<(LogRecord, usize)>,
    bytes: usize,
}

impl TailRecords {
    /// Where in `records` that position is.
    fn index(&self, position: Position) -> Option<usize> {
        let first = self.records.front()?.0.position;
        usize::try_from(position.0.checked_sub(first.0)?).ok().filter(|index| *index < self.records.len())
    }
}

impl Tail {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self { max_records, max_bytes, newest: Mutex::default() }
    }

    /// Adds what was just committed, of so many encoded bytes. If another process appended in between, the records before
    /// that go.
    pub(crate) fn push(&self, record: LogRecord, bytes: usize) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.records.back().is_some_and(|(last, _)| last.position.next() != record.position) {
            *newest = TailRecords::default();
        }
        newest.bytes += bytes;
        newest.records.push_back((record, bytes));
        while newest.records.len() > self.max_records || newest.bytes > self.max_bytes {
            let Some((_, bytes)) = newest.records.pop_front() else { break };
            newest.bytes -= bytes;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = TailRecords::default();
    }

    /// When the record at that position was appended, if it is here.
    pub(crate) fn appended_at_us(&self, position: Position) -> Option<i64> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        Some(newest.records.get(newest.index(position)?)?.0.appended_at_us)
    }

    /// Up to `limit` records from `from` on, if the first of them is here.
    pub(crate) fn read(&self, from: Position, limit: usize) -> Option<Vec<LogRecord>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = newest.index(from).filter(|_| limit > 0)?;
        Some(newest.records.iter().skip(skip).take(limit).map(|(record, _)| record.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::{Event, MutationId, MutationVoided, Partition, Stream};
    use uuid::Uuid;

    use super::*;

    /// Records from `first` on, each of ten bytes.
    fn push(tail: &Tail, first: i64, count: i64) {
        let event = Event::MutationVoided(MutationVoided { mutation: MutationId(Uuid::nil()), reason: String::new() });
        let partition = Partition { stream: Stream::Mutations, number: 0 };
        let record = |position| LogRecord {
            partition,
            position: Position(position),
            appended_at_us: 0,
            event: Ok(event.clone()),
        };
        (first..first + count).for_each(|position| tail.push(record(position), 10));
    }

    fn positions(tail: &Tail, from: i64, limit: usize) -> Option<Vec<i64>> {
        let records = tail.read(Position(from), limit)?;
        Some(records.iter().map(|record| record.position.0).collect())
    }

    #[test]
    fn only_what_is_there_from_the_first_on() {
        let tail = Tail::new(100, 1000);
        assert_eq!(positions(&tail, 0, 10), None);
        push(&tail, 5, 3);
        assert_eq!(positions(&tail, 4, 10), None);
        assert_eq!(positions(&tail, 5, 2), Some(vec![5, 6]));
        assert_eq!(positions(&tail, 7, 10), Some(vec![7]));
        assert_eq!(positions(&tail, 8, 10), None);
        assert_eq!(positions(&tail, 5, 0), None);
        tail.clear();
        assert_eq!(positions(&tail, 5, 2), None);
    }

    #[test]
    fn never_a_gap() {
        let tail = Tail::new(100, 1000);
        push(&tail, 0, 3);
        push(&tail, 4, 1);
        assert_eq!(positions(&tail, 0, 10), None);
        assert_eq!(positions(&tail, 4, 10), Some(vec![4]));
    }

    #[test]
    fn bounded_in_records_and_bytes() {
        let by_records = Tail::new(3, 1000);
        push(&by_records, 0, 10);
        assert_eq!(positions(&by_records, 7, 10), Some(vec![7, 8, 9]));
        assert_eq!(positions(&by_records, 6, 10), None);
        let by_bytes = Tail::new(100, 25);
        push(&by_bytes, 0, 10);
        assert_eq!(positions(&by_bytes, 8, 10), Some(vec![8, 9]));
        let none = Tail::new(0, 0);
        push(&none, 0, 2);
        assert_eq!(positions(&none, 1, 10), None);
    }
}
