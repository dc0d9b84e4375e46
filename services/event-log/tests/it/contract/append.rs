use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use upwrite_event_log::{EventLog, LogError, LogRecord};
use upwrite_events::{Event, MAX_EVENT_BYTES, Position};

use crate::harness::Harness;
use crate::sample::{accepted, assert_gap_free, large, next, noted, partition, submission};

fn reason(record: &LogRecord) -> &str {
    match &record.event {
        Ok(Event::MutationVoided(voided)) => &voided.reason,
        other => panic!("not one of ours: {other:?}"),
    }
}

pub(crate) async fn in_order_one_behind_the_other(harness: &impl Harness) {
    let log = harness.process().await;
    let first = vec![noted("a"), noted("b"), noted("c")];
    let second = vec![noted("d")];
    assert_eq!(log.append(partition(1), first.clone()).await.unwrap(), [Position(0), Position(1), Position(2)]);
    assert_eq!(log.append(partition(1), vec![]).await.unwrap(), []);
    assert_eq!(log.append(partition(1), second.clone()).await.unwrap(), [Position(3)]);
    assert_eq!(log.append(partition(2), vec![noted("elsewhere")]).await.unwrap(), [Position(0)]);
    assert_eq!(log.end(partition(1)).await.unwrap(), Position(4));
    assert_eq!(log.end(partition(3)).await.unwrap(), Position(0));
    // In the process that appended, and in another one.
    for log in [log, harness.process().await] {
        let records = log.read(partition(1), Position::START, 100).await.unwrap();
        assert_gap_free(&records, 0);
        let events: Vec<_> = records.iter().map(|record| record.event.clone().unwrap()).collect();
        assert_eq!(events, [first.clone(), second.clone()].concat());
        assert!(records.iter().all(|record| record.partition == partition(1)));
        assert!(records.windows(2).all(|pair| pair[0].appended_at_us <= pair[1].appended_at_us));
        let middle = log.read(partition(1), Position(1), 2).await.unwrap();
        assert_eq!(middle.iter().map(reason).collect::<Vec<_>>(), ["b", "c"]);
        assert!(log.read(partition(1), Position(4), 10).await.unwrap().is_empty());
    }
}

/// Two processes, many writers, readers that read all the while: no reader ever sees a gap, no append is torn.
pub(crate) async fn gap_free_under_many_writers(harness: &impl Harness) {
    const WRITERS: usize = 24;
    const APPENDS: usize = 20;
    let processes = [harness.process().await, harness.process().await];
    let total: usize = (0..WRITERS).map(|writer| APPENDS * size(writer)).sum();
    let readers = [0, 1].map(|which| {
        let log = Arc::clone(&processes[which]);
        tokio::spawn(async move { next(&mut log.subscribe(partition(0), Position::START), total).await })
    });
    let written = join_all(
        (0..WRITERS)
            .map(|writer| write(Arc::clone(&processes[writer % 2]), writer, APPENDS, harness.appends_stay_together())),
    )
    .await;
    let written: HashMap<i64, String> = written.into_iter().flatten().collect();
    assert_eq!(written.len(), total, "a position was given twice");
    for reader in readers {
        let records = reader.await.unwrap();
        assert_gap_free(&records, 0);
        for record in &records {
            assert_eq!(reason(record), written[&record.position.0]);
        }
    }
}

/// Events in one append of that writer.
fn size(writer: usize) -> usize {
    writer % 3 + 1
}

/// What stands at which position, as the log said.
async fn write(log: Arc<dyn EventLog>, writer: usize, appends: usize, together: bool) -> Vec<(i64, String)> {
    let mut written = Vec::new();
    for append in 0..appends {
        let reasons: Vec<_> = (0..size(writer)).map(|event| format!("{writer}-{append}-{event}")).collect();
        let events = reasons.iter().map(noted).collect();
        let positions = log.append(partition(0), events).await.unwrap();
        assert!(positions.is_sorted(), "out of order");
        assert!(!together || positions.windows(2).all(|pair| pair[0].next() == pair[1]), "torn");
        written.extend(positions.iter().map(|position| position.0).zip(reasons));
    }
    written
}

pub(crate) async fn what_cannot_be_appended_is_refused_alone(harness: &impl Harness) {
    let log = harness.process().await;
    let mut spoilt = submission(&harness.table(), &[("spoilt", None)]);
    // No text in Postgres holds it.
    spoilt.claims[0].key.0 = "id=\0".to_owned();
    let (before, refused, after, too_large, nowhere) = tokio::join!(
        log.append(partition(0), vec![noted("before")]),
        log.submit(spoilt),
        log.submit(submission(&harness.table(), &[("good", None)])),
        log.append(partition(0), vec![large(&harness.table(), MAX_EVENT_BYTES + 1)]),
        log.append(partition(log.partitions()), vec![noted("nowhere")]),
    );
    assert_eq!(before.unwrap(), [Position(0)]);
    accepted(after.unwrap());
    assert!(matches!(refused, Err(LogError::NotAppended(_))), "{refused:?}");
    assert!(matches!(too_large, Err(LogError::TooLarge { bytes, .. }) if bytes > MAX_EVENT_BYTES), "{too_large:?}");
    assert!(matches!(nowhere, Err(LogError::NotAppended(_))), "{nowhere:?}");
    assert_eq!(harness.claimed().await, 1);
}

/// Larger together than any batch or read may be, and each of them within its own limit.
pub(crate) async fn large_events_are_batched_within_limits(harness: &impl Harness) {
    let log = harness.process().await;
    let events = || vec![large(&harness.table(), 3_000_000), large(&harness.table(), 3_000_000)];
    let appended = join_all((0..4).map(|_| log.append(partition(3), events()))).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    let reader = harness.process().await;
    let records = next(&mut reader.subscribe(partition(3), Position::START), 8).await;
    assert_gap_free(&records, 0);
    assert!(records.iter().all(|record| record.event.is_ok()));
}
