//! What is particular to the Postgres engine.

use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Config, EventLog as _, LogError, PostgresLog, Submitted};
use upwrite_events::{Position, Stream};

use super::harness::PostgresHarness;
use crate::harness::{Harness as _, LIMIT};
use crate::sample::{accepted, assert_gap_free, next, noted, partition, submission};

#[tokio::test]
async fn a_database_that_was_not_set_up_is_a_mismatch() {
    let harness = PostgresHarness::shared().await;
    harness.execute("delete from upwrite.deployment").await;
    let opened = PostgresLog::open(harness.service_pool(), Config::default(), CancellationToken::new()).await;
    assert!(matches!(opened, Err(LogError::Mismatch(_))), "{:?}", opened.err());
}

#[tokio::test]
async fn a_counter_that_is_missing_starts_behind_the_log() {
    let harness = PostgresHarness::shared().await;
    let log = harness.open(Config::default()).await;
    log.append(partition(2), vec![noted("a"), noted("b")]).await.unwrap();
    harness.execute("delete from upwrite.log_partitions where partition = 2").await;
    // Without it nothing is appended, neither of this partition nor of a neighbour's in the same batch and alone.
    let (without, neighbour) =
        tokio::join!(log.append(partition(2), vec![noted("c")]), log.append(partition(1), vec![noted("d")]));
    assert!(matches!(without, Err(LogError::NotAppended(_))), "{without:?}");
    assert_eq!(neighbour.unwrap(), [Position(0)]);
    let log = harness.open(Config::default()).await;
    assert_eq!(log.append(partition(2), vec![noted("c")]).await.unwrap(), [Position(2)]);
    let observations = upwrite_events::Partition { stream: Stream::Observations, number: 2 };
    assert_eq!(log.append(observations, vec![noted("c")]).await.unwrap(), [Position(0)]);
}

#[tokio::test]
async fn a_log_that_lost_its_beginning_is_a_mismatch() {
    let harness = PostgresHarness::shared().await;
    let log = harness.open(Config { tail_records: 0, ..Config::default() }).await;
    log.append(partition(0), (0..10).map(|n| noted(n.to_string())).collect()).await.unwrap();
    harness.execute("delete from upwrite.log where position < 5").await;
    let first = log.subscribe(partition(0), Position::START).next().await;
    assert!(matches!(first, Some(Err(LogError::Mismatch(_)))), "{first:?}");
    assert_gap_free(&next(&mut log.subscribe(partition(0), Position(5)), 5).await, 5);
}

/// Hazard B20: an unknown newer version of a schema stops its partition, after what stands before it.
#[tokio::test]
async fn what_a_newer_version_wrote_stops_its_partition() {
    let harness = PostgresHarness::shared().await;
    let writer = harness.open(Config::default()).await;
    writer.append(partition(0), vec![noted("before")]).await.unwrap();
    let unknown = [&[0xC3, 1][..], &[7; 40]].concat();
    for partition in [partition(0), partition(1)] {
        harness.append_silently(partition, &unknown).await;
    }
    harness.execute("update upwrite.log set event = 'MutationVoided' where partition = 0 and event = 'Foreign'").await;
    let log = harness.open(Config::default()).await;
    // Under a name that is not ours it is foreign.
    assert!(next(&mut log.subscribe(partition(1), Position::START), 1).await[0].event.is_err());
    let mut reader = log.subscribe(partition(0), Position::START);
    assert_gap_free(&next(&mut reader, 1).await, 0);
    let stopped = tokio::time::timeout(LIMIT, reader.next()).await.unwrap();
    assert!(matches!(stopped, Some(Err(LogError::Newer(_)))), "{stopped:?}");
    assert!(matches!(log.read(partition(0), Position(1), 1).await, Err(LogError::Newer(_))));
}

/// Hazard B11, in a running process: the database is set back under it.
#[tokio::test]
async fn a_log_that_was_set_back_is_a_mismatch() {
    let harness = PostgresHarness::shared().await;
    let log = harness.open(Config { poll: Duration::from_millis(20), ..Config::default() }).await;
    log.append(partition(0), (0..10).map(|n| noted(n.to_string())).collect()).await.unwrap();
    let mut reader = log.subscribe(partition(0), Position::START);
    assert_gap_free(&next(&mut reader, 10).await, 0);
    harness
        .execute(
            "begin; delete from upwrite.log where position >= 5; \
             update upwrite.log_partitions set next_position = 5 where next_position = 10; commit",
        )
        .await;
    let seen = tokio::time::timeout(LIMIT, reader.next()).await.expect("it is noticed");
    assert!(matches!(seen, Some(Err(LogError::Mismatch(_)))), "{seen:?}");
}

/// Somebody holds a claim's lock for good: who needs that record is refused, all others are served.
#[tokio::test]
async fn a_stalled_release_stops_nobody_else() {
    let (harness, lock_timeout) = (PostgresHarness::shared().await, Duration::from_millis(100));
    let (log, table) = (harness.open(Config { lock_timeout, ..Config::default() }).await, harness.table());
    let holder = submission(&table, &[("held", None)]);
    accepted(log.submit(holder.clone()).await.unwrap());
    let stalled = harness.begin_finish(holder.request.mutation, "held", Some(1)).await;
    let (refused, other, append) = tokio::join!(
        log.submit(submission(&table, &[("held", None)])),
        log.submit(submission(&table, &[("other", None)])),
        log.append(partition(0), vec![noted("a")]),
    );
    assert!(matches!(refused, Err(LogError::NotAppended(_))), "{refused:?}");
    accepted(other.unwrap());
    append.unwrap();
    stalled.commit().await;
    assert_eq!(log.submit(submission(&table, &[("held", None)])).await.unwrap(), Submitted::Stale);
}

#[tokio::test]
async fn shutdown_finishes_what_was_queued_and_refuses_the_rest() {
    let (harness, shutdown) = (PostgresHarness::shared().await, CancellationToken::new());
    let log = PostgresLog::open(harness.service_pool(), Config::default(), shutdown.clone()).await.unwrap();
    let queued: Vec<_> = (0..50).map(|n| log.append(partition(0), vec![noted(n.to_string())])).collect();
    let mut queued = Box::pin(futures::future::join_all(queued));
    assert!(futures::poll!(&mut queued).is_pending());
    shutdown.cancel();
    assert!(queued.await.iter().all(Result::is_ok));
    let late = log.append(partition(0), vec![noted("late")]).await;
    assert!(matches!(late, Err(LogError::NotAppended(_))), "{late:?}");
    assert_eq!(log.end(partition(0)).await.unwrap(), Position(50));
}
