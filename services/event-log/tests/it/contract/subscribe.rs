use std::sync::Arc;

use futures::StreamExt as _;
use upwrite_event_log::{EventLog, LogError};
use upwrite_events::{Position, encode};

use crate::harness::{Harness, LIMIT};
use crate::sample::{assert_gap_free, next, noted, partition};

async fn fill(log: &Arc<dyn EventLog>, count: usize) {
    let events = (0..count).map(|n| noted(n.to_string())).collect();
    log.append(partition(0), events).await.unwrap();
}

pub(crate) async fn from_the_start_the_middle_and_the_end(harness: &impl Harness) {
    let log = harness.process().await;
    fill(&log, 700).await;
    for log in [Arc::clone(&log), harness.process().await] {
        for from in [0, 350, 699] {
            let records = next(&mut log.subscribe(partition(0), Position(from)), 700 - from as usize).await;
            assert_gap_free(&records, from);
        }
    }
    let mut end = log.subscribe(partition(0), Position(700));
    assert!(futures::poll!(end.next()).is_pending());
    fill(&log, 1).await;
    assert_gap_free(&next(&mut end, 1).await, 700);
}

/// A reader that waits is woken by its own process and by another.
pub(crate) async fn woken_by_any_process(harness: &impl Harness) {
    let (one, other) = (harness.process().await, harness.process().await);
    let mut waiting = [&one, &other].map(|log| log.subscribe(partition(0), Position::START));
    for (round, log) in [&one, &other, &one, &one, &other].into_iter().enumerate() {
        fill(log, 1).await;
        for waiting in &mut waiting {
            assert_gap_free(&next(waiting, 1).await, round as i64);
        }
    }
}

/// Hazard B18: the notification is lost.
pub(crate) async fn b18_found_without_notification(harness: &impl Harness) {
    let log = harness.polling_process().await;
    let mut waiting = log.subscribe(partition(0), Position::START);
    for position in 0..3 {
        harness.append_silently(partition(0), &encode(&noted("silent")).unwrap()).await;
        assert_gap_free(&next(&mut waiting, 1).await, position);
    }
}

/// Hazard B20: foreign bytes are told as such, and stop nothing.
pub(crate) async fn foreign_bytes_stop_nothing(harness: &impl Harness) {
    let log = harness.polling_process().await;
    fill(&log, 1).await;
    harness.append_silently(partition(0), b"foreign").await;
    fill(&log, 1).await;
    let records = next(&mut log.subscribe(partition(0), Position::START), 3).await;
    assert_gap_free(&records, 0);
    assert!(records[0].event.is_ok() && records[2].event.is_ok());
    let undecodable = records[1].event.as_ref().unwrap_err();
    assert_eq!(undecodable.value, b"foreign");
    assert!(!undecodable.reason.is_empty());
}

/// A position that the log does not have: it is not the log that the reader knew.
pub(crate) async fn beyond_the_end_is_a_mismatch(harness: &impl Harness) {
    let log = harness.process().await;
    fill(&log, 2).await;
    for (partition, from) in [(partition(0), 3), (partition(1), 1), (partition(log.partitions()), 0)] {
        let mut beyond = log.subscribe(partition, Position(from));
        let first = tokio::time::timeout(LIMIT, beyond.next()).await.unwrap();
        assert!(matches!(first, Some(Err(LogError::Mismatch(_)))), "{partition} {from}: {first:?}");
        assert!(beyond.next().await.is_none());
    }
}
