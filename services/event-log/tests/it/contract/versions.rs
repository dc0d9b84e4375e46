use std::sync::Arc;

use futures::future::join_all;
use upwrite_event_log::{EventLog, Submitted};

use crate::harness::Harness;
use crate::sample::{accepted, home, submission};

/// Hazard B8: the row changed between the dry run and the submission.
pub(crate) async fn a_changed_row_is_stale_and_leaves_nothing(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    harness.set_version("row", Some(3)).await;
    // Older, newer, deleted meanwhile, and inserted meanwhile.
    for (key, captured) in [("row", Some(2)), ("row", Some(4)), ("absent", Some(1)), ("row", None)] {
        let answer = log.submit(submission(&table, &[("new", None), (key, captured)])).await.unwrap();
        assert_eq!(answer, Submitted::Stale, "{key} {captured:?}");
    }
    assert_eq!(harness.claimed().await, 0);
    assert_eq!(log.end(home(&log, &table, "new")).await.unwrap().0, 0);
    accepted(log.submit(submission(&table, &[("new", None), ("row", Some(3)), ("absent", None)])).await.unwrap());
}

/// A submission that waited for a claim sees the row as the claim's holder left it. (In one statement it would get the
/// claim and the row as it was before.)
pub(crate) async fn the_check_sees_what_the_claim_waited_for(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    harness.set_version("row", Some(1)).await;
    let first = submission(&table, &[("row", Some(1))]);
    accepted(log.submit(first.clone()).await.unwrap());
    let finishing = harness.begin_finish(first.request.mutation, "row", Some(2)).await;
    let waiting = {
        let (log, second) = (Arc::clone(&log), submission(&table, &[("row", Some(1))]));
        tokio::spawn(async move { log.submit(second).await })
    };
    harness.until_blocked().await;
    finishing.commit().await;
    assert_eq!(waiting.await.unwrap().unwrap(), Submitted::Stale);
    assert_eq!(harness.claimed().await, 0);
    accepted(log.submit(submission(&table, &[("row", Some(2))])).await.unwrap());
}

/// `n = n + 1` from many sessions of two processes: no update is lost (G10).
pub(crate) async fn no_update_is_lost(harness: &impl Harness) {
    const SESSIONS: usize = 6;
    const UPDATES: usize = 10;
    let processes = [harness.process().await, harness.process().await];
    harness.set_version("n", Some(0)).await;
    let sessions = (0..SESSIONS).map(|session| increment(harness, Arc::clone(&processes[session % 2]), UPDATES));
    join_all(sessions).await;
    assert_eq!(harness.version("n").await, Some((SESSIONS * UPDATES) as i64));
}

async fn increment(harness: &impl Harness, log: Arc<dyn EventLog>, times: usize) {
    let mut done = 0;
    while done < times {
        let captured = harness.version("n").await.expect("the row is there");
        let wish = submission(&harness.table(), &[("n", Some(captured))]);
        if let Submitted::Accepted { .. } = log.submit(wish.clone()).await.unwrap() {
            harness.finish(wish.request.mutation, "n", Some(captured + 1)).await;
            done += 1;
        }
    }
}
