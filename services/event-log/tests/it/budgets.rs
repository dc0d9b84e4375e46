//! Rate budgets that processes share, on a real Postgres.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use upwrite_event_log::SharedBudgets;

use crate::harness::LIMIT;
use crate::postgres::harness::PostgresHarness;

#[tokio::test]
async fn processes_together_get_what_there_is_and_no_more() {
    // So slow that the bucket is emptied, and nothing overflows, while a busy machine keeps the takers from asking.
    const RATE: f64 = 2.0;
    const BURST: f64 = 20.0;
    let harness = PostgresHarness::shared().await;
    let budgets = SharedBudgets::new(harness.service_pool());
    let begun = Instant::now();
    let taken = Arc::new(Mutex::new(0.0));
    let mut takers = JoinSet::new();
    for _ in 0..4 {
        let (budgets, taken) = (budgets.clone(), Arc::clone(&taken));
        takers.spawn(async move {
            // All that was there, and some of what came later.
            while *taken.lock().unwrap() < BURST + 3.0 {
                let (requests, wait) = budgets.lease("crm", RATE, BURST, 5.0, true).await.unwrap();
                *taken.lock().unwrap() += requests;
                assert!(requests == requests.floor() && (requests > 0.0 || wait > Duration::ZERO));
                #[allow(clippy::disallowed_methods, reason = "a taker waits as long as the budget says")]
                tokio::time::sleep(wait.min(Duration::from_millis(20))).await;
            }
        });
    }
    tokio::time::timeout(LIMIT, takers.join_all()).await.expect("they get what there is");
    let (taken, most) = (*taken.lock().unwrap(), BURST + RATE * begun.elapsed().as_secs_f64());
    assert!(taken <= most, "{taken} of {most}");
}

#[tokio::test]
async fn a_write_that_waits_comes_before_reads_of_others() {
    let harness = PostgresHarness::shared().await;
    let budgets = SharedBudgets::new(harness.service_pool());
    // One each 10 seconds: what is there is gone at once.
    let (requests, _) = budgets.lease("crm", 0.1, 1.0, 1.0, false).await.unwrap();
    assert_eq!(requests, 1.0);
    let (requests, wait) = budgets.lease("crm", 0.1, 1.0, 1.0, true).await.unwrap();
    assert!(requests == 0.0 && wait > Duration::from_secs(8) && wait <= Duration::from_secs(10), "{wait:?}");
    // Even were there enough for a read now, the write is first.
    let (requests, wait) = budgets.lease("crm", 1_000.0, 1.0, 1.0, false).await.unwrap();
    assert!(requests == 0.0 && wait > Duration::from_secs(8), "{requests}, {wait:?}");
    let (requests, _) = budgets.lease("crm", 1_000.0, 1.0, 1.0, true).await.unwrap();
    assert_eq!(requests, 1.0);
}
