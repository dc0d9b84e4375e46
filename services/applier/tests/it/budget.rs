//! A call that would have to wait for the rate budget, and the lease that allows calls.

use std::time::Duration;

use upwrite_connectors::Budget;
use upwrite_events::{Event, OwnerId, Partition, PartitionTaken, Phase, Stream};
use uuid::Uuid;

use crate::double::{Bench, KEYED, insert};

const LEASE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// The budget is empty for longer than the lease lasts. What waits for it is not started, goes on gathering company, and
/// is sent under a lease that was renewed for it.
#[tokio::test(start_paused = true)]
async fn what_waits_for_the_budget_is_sent_under_a_renewed_lease() {
    let mut bench = Bench::with_budget(1, 1, Budget::new(Some(10.0)));
    bench.config.lease = LEASE;
    let running = bench.start();
    tokio::time::sleep(SECOND).await;
    bench.world.budget.pause(6 * LEASE);
    let mut all = Vec::new();
    for id in 1..=3 {
        all.push(bench.ask(id, vec![insert(KEYED, id, 0)]).await);
        tokio::time::sleep(LEASE).await;
    }
    assert_eq!(bench.world.calls(), [], "nothing is sent while the budget rests");
    for asked in &all {
        assert_eq!(asked.finished().await.phase, Phase::Applied);
        assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    }
    assert_eq!(bench.world.calls().len(), 1, "what waited at the same time travelled together");
    let renewed = all.iter().filter(|asked| asked.story().contains(&"MutationAttempted")).count();
    assert_eq!(renewed, 1, "the lease had run out");
    running.stop().await;
}

/// The same, and meanwhile somebody else has taken the partition: nothing is sent any more.
#[tokio::test(start_paused = true)]
async fn what_waits_for_the_budget_is_not_sent_after_the_lease() {
    let bench = Bench::with_budget(1, 1, Budget::new(Some(10.0)));
    let (running, dealer) = bench.start_with_first();
    tokio::time::sleep(SECOND).await;
    bench.world.budget.pause(3 * LEASE);
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(SECOND).await;
    let owner = OwnerId(Uuid::from_u128(1));
    let marker = PartitionTaken { owner, process: "another".into(), lease_ms: 10_000 };
    bench.append(Partition { stream: Stream::Mutations, number: 0 }, Event::PartitionTaken(marker)).await;
    dealer.lose(0);
    tokio::time::sleep(10 * LEASE).await;
    assert_eq!((bench.world.calls(), asked.life().phase), (vec![], Phase::Requested));
    running.stop().await;
}

/// A call whose second request finds the budget empty ends within its time, unsent, and is made again later.
#[tokio::test(start_paused = true)]
async fn a_call_does_not_wait_for_the_budget_beyond_its_own_time() {
    let bench = Bench::with_budget(1, 1, Budget::new(Some(0.05)));
    let running = bench.start();
    tokio::time::sleep(SECOND).await;
    bench.world.log_out();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(15 * SECOND).await;
    assert_eq!(bench.world.calls(), [], "the login has used the only token, the next comes in 20 s");
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    assert_eq!((bench.world.calls().len(), bench.world.effects(&asked.idempotency_key(0))), (1, 1));
    running.stop().await;
}
