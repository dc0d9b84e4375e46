//! Events and submissions to append.

use std::sync::Arc;

use futures::StreamExt as _;
use upwrite_event_log::{
    Claim, ClaimKey, EventLog, LogRecord, Submission, Submitted, Subscription, VersionCheck, partition_for,
};
use upwrite_events::{
    Event, Interval, MutationId, MutationRequested, MutationVoided, ObservedRow, Op, Partition, Position,
    RecordsObserved, Row, RowChange, Stream, TableName,
};
use uuid::Uuid;

use crate::harness::LIMIT;

pub(crate) fn new_id() -> MutationId {
    MutationId(Uuid::now_v7())
}

/// An event that can be told from all others by its reason.
pub(crate) fn noted(reason: impl AsRef<str>) -> Event {
    Event::MutationVoided(MutationVoided { mutation: new_id(), reason: reason.as_ref().to_owned() })
}

/// An event of about `bytes` bytes.
pub(crate) fn large(table: &TableName, bytes: usize) -> Event {
    Event::RecordsObserved(RecordsObserved {
        table: table.clone(),
        kind: "by_id".to_owned(),
        seen: Interval { begun_us: 1, ended_us: 2 },
        rows: vec![ObservedRow {
            key: "k".to_owned(),
            image: Some(Row::from([("note".to_owned(), Some("x".repeat(bytes)))])),
            vendor_version: None,
        }],
    })
}

pub(crate) fn claim(table: &TableName, key: &str) -> Claim {
    Claim { table: table.clone(), key: ClaimKey(format!("id={key}")) }
}

/// Changes the records with these keys, each captured at that version.
pub(crate) fn submission(table: &TableName, records: &[(&str, Option<i64>)]) -> Submission {
    let row = |(key, version): &(&str, Option<i64>)| RowChange {
        table: table.clone(),
        op: if version.is_some() { Op::Update } else { Op::Insert },
        key: (*key).to_owned(),
        version: *version,
        changed: Row::from([("n".to_owned(), Some("1".to_owned()))]),
        old: Row::new(),
    };
    let check = |(key, version): &(&str, Option<i64>)| VersionCheck {
        table: table.clone(),
        key: (*key).to_owned(),
        version: *version,
    };
    Submission {
        claims: records.iter().map(|(key, _)| claim(table, key)).collect(),
        versions: records.iter().map(check).collect(),
        request: MutationRequested::new(new_id(), records.iter().map(row).collect())
            .at(1_767_225_600_000_000)
            .from_client("app", "alice", "test"),
    }
}

pub(crate) fn partition(number: u16) -> Partition {
    Partition { stream: Stream::Mutations, number }
}

/// Where a submission whose first record has this key goes.
pub(crate) fn home(log: &Arc<dyn EventLog>, table: &TableName, key: &str) -> Partition {
    partition_for(Stream::Mutations, table, key, log.partitions())
}

/// The position, of what must have been accepted.
#[track_caller]
pub(crate) fn accepted(submitted: Submitted) -> Position {
    match submitted {
        Submitted::Accepted { position, .. } => position,
        other => panic!("not accepted: {other:?}"),
    }
}

/// The next `count` records, however they are batched; [`LIMIT`] for each batch.
pub(crate) async fn next(subscription: &mut Subscription, count: usize) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        let Ok(batch) = tokio::time::timeout(LIMIT, subscription.next()).await else {
            panic!("{} of {count} records came", records.len());
        };
        records.extend(batch.expect("the subscription ended").expect("the subscription failed"));
    }
    records
}

#[track_caller]
pub(crate) fn assert_gap_free(records: &[LogRecord], from: i64) {
    for (expected, record) in (from..).zip(records) {
        assert_eq!(record.position.0, expected, "a gap, or out of order");
    }
}
