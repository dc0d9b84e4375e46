use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use upwrite_event_log::{EventLog, LogError, Submitted};
use upwrite_events::{Event, Position};
use upwrite_testkit::until;

use crate::harness::{Harness, LIMIT};
use crate::sample::{accepted, assert_gap_free, home, next, noted, partition, submission};

pub(crate) async fn a_restart_keeps_positions_and_claims(harness: &impl Harness) {
    let table = harness.table();
    let first = submission(&table, &[("a", None)]);
    {
        let log = harness.process().await;
        log.append(partition(0), vec![noted("a"), noted("b")]).await.unwrap();
        accepted(log.submit(first.clone()).await.unwrap());
    }
    harness.kill().await;
    harness.restart().await;
    let log = harness.process().await;
    let expected = if home(&log, &table, "a") == partition(0) { 3 } else { 2 };
    assert_eq!(log.append(partition(0), vec![noted("c")]).await.unwrap(), [Position(expected)]);
    assert_gap_free(&next(&mut log.subscribe(partition(0), Position::START), expected as usize + 1).await, 0);
    let again = log.submit(submission(&table, &[("a", None)])).await.unwrap();
    assert!(matches!(again, Submitted::Claimed { by, .. } if by == first.request.mutation), "{again:?}");
}

/// Hazard B9: what was accepted survives, also where commits are asynchronous unless told otherwise.
pub(crate) async fn b9_what_was_accepted_survives_a_crash(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    let wish = submission(&table, &[("a", None)]);
    accepted(log.submit(wish.clone()).await.unwrap());
    harness.kill().await;
    harness.restart().await;
    let log = harness.process().await;
    assert_eq!(harness.claimed().await, 1);
    let records = log.read(home(&log, &table, "a"), Position::START, 10).await.unwrap();
    assert_eq!(records[0].event, Ok(Event::MutationRequested(wish.request)));
}

/// While the log is away, callers are told at once, readers wait; when it is back, all goes on by itself.
pub(crate) async fn away_and_back(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    log.append(partition(0), vec![noted("before")]).await.unwrap();
    let mut reader = log.subscribe(partition(0), Position::START);
    assert_gap_free(&next(&mut reader, 1).await, 0);
    harness.kill().await;
    let started = Instant::now();
    // The first one may find out only after it was sent.
    let first = log.append(partition(0), vec![noted("while away")]).await;
    assert!(matches!(first, Err(LogError::Unknown(_) | LogError::NotAppended(_))), "{first:?}");
    let second = log.submit(submission(&table, &[("a", None)])).await;
    assert!(matches!(second, Err(LogError::NotAppended(_))), "{second:?}");
    let end = log.end(partition(0)).await;
    assert!(matches!(end, Err(LogError::Unavailable(_))), "{end:?}");
    assert!(started.elapsed() < LIMIT / 3, "{:?}", started.elapsed());
    harness.restart().await;
    until(LIMIT, "the log to take events again", || async {
        log.append(partition(0), vec![noted("after")]).await.ok()
    })
    .await;
    let records = next(&mut reader, 1).await;
    assert_gap_free(&records, 1);
    assert!(matches!(&records[0].event, Ok(Event::MutationVoided(voided)) if voided.reason == "after"));
}

/// Writers write on while the log is killed and started again: what was acknowledged is there, what was definitely not
/// appended is not, and readers see no gap.
pub(crate) async fn killed_under_load(harness: &impl Harness) {
    const WRITERS: usize = 8;
    let log = harness.process().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (told, progress) = tokio::sync::watch::channel(0_usize);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(Arc::clone(&log), writer, stopped.clone(), told.clone())))
        .collect();
    let acknowledged = |more: usize| {
        let mut progress = progress.clone();
        async move {
            let wanted = *progress.borrow() + more;
            let waiting = progress.wait_for(|acknowledged| *acknowledged >= wanted);
            tokio::time::timeout(LIMIT, waiting).await.expect("writers get on").expect("writers run");
        }
    };
    for _ in 0..3 {
        acknowledged(100).await;
        harness.kill().await;
        harness.restart().await;
    }
    acknowledged(100).await;
    stop.send(true).unwrap();
    let mut written = Written::default();
    for writer in writers {
        written.add(writer.await.unwrap());
    }
    let end = log.end(partition(0)).await.unwrap();
    let records = next(&mut log.subscribe(partition(0), Position::START), usize::try_from(end.0).unwrap()).await;
    assert_gap_free(&records, 0);
    let there: BTreeSet<String> = records
        .into_iter()
        .map(|record| match record.event {
            Ok(Event::MutationVoided(voided)) => voided.reason,
            other => panic!("not one of ours: {other:?}"),
        })
        .collect();
    assert!(written.acknowledged.is_subset(&there), "lost: {:?}", written.acknowledged.difference(&there));
    assert!(written.refused.is_disjoint(&there), "refused, and yet there: {:?}", written.refused.intersection(&there));
    assert_eq!(there.len(), usize::try_from(end.0).unwrap(), "something is there twice");
}

#[derive(Default)]
struct Written {
    acknowledged: BTreeSet<String>,
    refused: BTreeSet<String>,
}

impl Written {
    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.refused.extend(other.refused);
    }
}

async fn write(
    log: Arc<dyn EventLog>,
    writer: usize,
    stopped: tokio::sync::watch::Receiver<bool>,
    told: tokio::sync::watch::Sender<usize>,
) -> Written {
    let mut written = Written::default();
    for number in 0.. {
        if *stopped.borrow() {
            break;
        }
        let reason = format!("{writer}-{number}");
        match log.append(partition(0), vec![noted(&reason)]).await {
            Ok(_) => {
                written.acknowledged.insert(reason);
                told.send_modify(|acknowledged| *acknowledged += 1);
            }
            Err(LogError::NotAppended(_)) => {
                written.refused.insert(reason);
                // Refusals are quick: leave the others some time.
                tokio::task::yield_now().await;
            }
            Err(LogError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    written
}
