//! Which of the waiting items go into one transaction, and their form as parameters. No I/O.

use std::collections::{HashSet, VecDeque};

use upwrite_events::Position;
use uuid::Uuid;

use super::item::{Done, Item, QueuedItem};
use crate::{Claim, LogError};

/// Takes from the front of `waiting` what fits one transaction, in order. A submission that wants a claim of an
/// earlier one of the same batch stays: in the next batch the table has the answer.
pub(crate) fn take(waiting: &mut VecDeque<QueuedItem>, max_items: usize, max_bytes: usize) -> Vec<QueuedItem> {
    let mut batch: Vec<QueuedItem> = Vec::new();
    let mut claims: HashSet<Claim> = HashSet::new();
    let mut later = VecDeque::new();
    let mut bytes = 0;
    while batch.len() < max_items.max(1) {
        let Some(next) = waiting.pop_front() else { break };
        if !batch.is_empty() && bytes + next.item.bytes > max_bytes {
            waiting.push_front(next);
            break;
        }
        let free = next.item.claims.iter().all(|claim| !claims.contains(claim));
        // What is held back also bars those behind it, so that no item is overtaken for ever.
        claims.extend(next.item.claims.iter().cloned());
        if free {
            bytes += next.item.bytes;
            batch.push(next);
        } else {
            later.push_back(next);
        }
    }
    while let Some(held_back) = later.pop_back() {
        waiting.push_front(held_back);
    }
    batch
}

/// The parameters of `upwrite.append_batch`, borrowed from the items.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) item_stream: Vec<&'static str>,
    pub(crate) item_partition: Vec<i16>,
    pub(crate) item_mutation: Vec<Option<Uuid>>,
    pub(crate) claim_item: Vec<i32>,
    pub(crate) claim_source: Vec<&'a str>,
    pub(crate) claim_table: Vec<&'a str>,
    pub(crate) claim_key: Vec<&'a str>,
    pub(crate) version_item: Vec<i32>,
    pub(crate) version_source: Vec<&'a str>,
    pub(crate) version_table: Vec<&'a str>,
    pub(crate) version_key: Vec<&'a str>,
    pub(crate) version_wanted: Vec<Option<i64>>,
    pub(crate) event_item: Vec<i32>,
    pub(crate) event_name: Vec<&'static str>,
    pub(crate) event_mutation: Vec<Option<Uuid>>,
    pub(crate) event_value: Vec<&'a [u8]>,
    /// In the order of `claim_item`.
    claims: Vec<&'a Claim>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(items: &[&'a Item]) -> Self {
        let mut columns = Self::default();
        let mut claims: Vec<(&'a Claim, i32)> = Vec::new();
        for (number, item) in (1..).zip(items) {
            columns.item_stream.push(item.partition.stream.as_str());
            columns.item_partition.push(i16::try_from(item.partition.number).unwrap_or(i16::MAX));
            columns.item_mutation.push(item.mutation.map(|mutation| mutation.0));
            claims.extend(item.claims.iter().map(|claim| (claim, number)));
            for check in &item.versions {
                columns.version_item.push(number);
                columns.version_source.push(&check.table.source);
                columns.version_table.push(&check.table.table);
                columns.version_key.push(&check.key);
                columns.version_wanted.push(check.version);
            }
            for encoded in &item.events {
                columns.event_item.push(number);
                columns.event_name.push(encoded.event.name());
                columns.event_mutation.push(encoded.event.mutation().map(|mutation| mutation.0));
                columns.event_value.push(&encoded.value);
            }
        }
        // The global order in which every process inserts claims.
        claims.sort_unstable();
        for (claim, number) in claims {
            columns.claim_item.push(number);
            columns.claim_source.push(&claim.table.source);
            columns.claim_table.push(&claim.table.table);
            columns.claim_key.push(&claim.key.0);
            columns.claims.push(claim);
        }
        columns
    }

    /// The outcome that one row of the answer stands for.
    pub(crate) fn done(&self, row: &AnswerRow) -> Result<Done, LogError> {
        let outcome = match (row.outcome.as_str(), row.first_position, row.claimed_by) {
            ("accepted", Some(position), _) => Some(Done::Accepted(Position(position))),
            ("accepted", None, _) => Some(Done::Reserved),
            ("stale", ..) => Some(Done::Stale),
            ("claimed", _, Some(by)) => {
                let index = row.claim.and_then(|claim| usize::try_from(claim).ok()?.checked_sub(1));
                let claim = index.and_then(|index| self.claims.get(index));
                claim.map(|claim| Done::Claimed { claim: (*claim).clone(), by: upwrite_events::MutationId(by) })
            }
            _ => None,
        };
        outcome.ok_or_else(|| LogError::Unknown(format!("Postgres answered `{}` in a form not known", row.outcome)))
    }
}

/// One row of what `upwrite.append_batch` returns.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct AnswerRow {
    /// From 1.
    pub(crate) item: i32,
    outcome: String,
    first_position: Option<i64>,
    /// Unix time in microseconds.
    pub(crate) at_us: Option<i64>,
    claim: Option<i32>,
    claimed_by: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};
    use upwrite_events::{Partition, Stream, TableName};

    use super::*;
    use crate::ClaimKey;

    fn claim(key: &str) -> Claim {
        Claim { table: TableName::new("crm", "contact"), key: ClaimKey(key.to_owned()) }
    }

    fn waiting(claims: &[&str], bytes: usize) -> QueuedItem {
        let permits = Arc::new(Semaphore::new(1));
        QueuedItem {
            item: Item {
                partition: Partition { stream: Stream::Mutations, number: 0 },
                mutation: None,
                claims: claims.iter().map(|key| claim(key)).collect(),
                versions: Vec::new(),
                events: Vec::new(),
                bytes,
            },
            answer: oneshot::channel().0,
            _bytes: permits.try_acquire_owned().unwrap(),
        }
    }

    /// Takes batch after batch; the sizes of the items, which identify them.
    fn batches(items: Vec<QueuedItem>, max_items: usize, max_bytes: usize) -> Vec<Vec<usize>> {
        let mut queue = VecDeque::from(items);
        let mut batches = Vec::new();
        while !queue.is_empty() {
            let batch = take(&mut queue, max_items, max_bytes);
            assert!(!batch.is_empty(), "it would never end");
            batches.push(batch.iter().map(|waiting| waiting.item.bytes).collect());
        }
        batches
    }

    #[test]
    fn limits() {
        let items = |sizes: &[usize]| sizes.iter().map(|bytes| waiting(&[], *bytes)).collect::<Vec<_>>();
        assert_eq!(batches(items(&[1, 2, 3]), 2, 100), [vec![1, 2], vec![3]]);
        assert_eq!(batches(items(&[60, 40, 1]), 9, 100), [vec![60, 40], vec![1]]);
        assert_eq!(batches(items(&[1, 500, 2]), 9, 100), [vec![1], vec![500], vec![2]]);
        assert_eq!(batches(items(&[1, 2]), 0, 0), [vec![1], vec![2]]);
    }

    #[test]
    fn a_claim_occurs_once_in_a_batch() {
        let items = vec![
            waiting(&["x", "y"], 1),
            waiting(&["y", "z"], 2),
            waiting(&["z"], 3),
            waiting(&["w"], 4),
            waiting(&[], 5),
        ];
        assert_eq!(batches(items, 9, 100), [vec![1, 4, 5], vec![2], vec![3]]);
    }

    #[test]
    fn claims_are_in_one_order_over_the_whole_batch() {
        let [first, second] = [waiting(&["b", "d"], 1), waiting(&["a", "c"], 2)];
        let columns = Columns::of(&[&first.item, &second.item]);
        assert_eq!(columns.claim_key, ["a", "b", "c", "d"]);
        assert_eq!(columns.claim_item, [2, 1, 2, 1]);
    }
}
