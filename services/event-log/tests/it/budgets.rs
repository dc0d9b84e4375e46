//! Rate budgets that processes share, on a real Postgres.

use std::time::{Duration, Instant};

use upwrite_event_log::SharedBudgets;

use crate::postgres::harness::PostgresHarness;

#[tokio::test]
async fn processes_together_get_what_there_is_and_no_more() {
    let harness = PostgresHarness::shared().await;
    let budgets = SharedBudgets::new(harness.service_pool());
    let begun = Instant::now();
    let takers = (0..4).map(|_| {
        let budgets = budgets.clone();
        tokio::spawn(async move {
            let mut taken = 0.0;
            while begun.elapsed() < Duration::from_secs(3) {
                let (requests, wait) = budgets.lease("crm", 100.0, 10.0, 5.0, true).await.unwrap();
                taken += requests;
                assert!(requests == requests.floor() && (requests > 0.0 || wait > Duration::ZERO));
                #[allow(clippy::disallowed_methods, reason = "what a taker does: it waits as long as it was told")]
                tokio::time::sleep(wait.min(Duration::from_millis(20))).await;
            }
            taken
        })
    });
    let mut taken = 0.0;
    for taker in takers.collect::<Vec<_>>() {
        taken += taker.await.unwrap();
    }
    let most = 10.0 + 100.0 * begun.elapsed().as_secs_f64();
    assert!(taken <= most && taken > most / 2.0, "{taken} of {most}");
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
