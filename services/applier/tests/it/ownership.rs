//! One owner: markers, leases, taking over, giving back.

use std::time::Duration;

use upwrite_events::{Event, OwnerId, Partition, PartitionTaken, Phase, Stream};
use uuid::Uuid;

use crate::double::{Bench, Fault, KEYED, NOTHING, PROBED, insert, update};

fn marker(owner: u128) -> Event {
    let owner = OwnerId(Uuid::from_u128(owner));
    Event::PartitionTaken(PartitionTaken { owner, process: "somebody else".into(), lease_ms: 10_000 })
}

fn partition(number: u16) -> Partition {
    Partition { stream: Stream::Mutations, number }
}

#[tokio::test(start_paused = true)]
async fn whoever_sees_another_marker_stops_calling() {
    let bench = Bench::new(2, 1);
    let (running, dealer) = bench.start_with_first();
    dealer.assign(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.append(partition(0), marker(1)).await;
    dealer.lose(0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut of = [Vec::new(), Vec::new()];
    for id in 1..20 {
        let asked = bench.ask(id, vec![insert(KEYED, id, 0)]).await;
        of[usize::from(asked.partition.number)].push(asked);
    }
    for asked in &of[1] {
        assert_eq!(asked.finished().await.phase, Phase::Applied);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!of[0].is_empty() && of[0].iter().all(|asked| asked.life().phase == Phase::Requested));
    assert_eq!(bench.world.journal().len(), of[1].len());
    running.stop().await;
}

/// Who still has the partition as far as the group knows takes it again, but not at once.
#[tokio::test(start_paused = true)]
async fn what_was_taken_but_not_lost_is_taken_again() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.append(partition(0), marker(1)).await;
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked.life().phase, Phase::Requested);
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    running.stop().await;
}

/// Two that both believe to have it: neither gives in, but they do not spend their time on taking it in turns.
#[tokio::test(start_paused = true)]
async fn two_who_both_believe_to_own_a_partition_get_slower_and_harm_nothing() {
    let bench = Bench::new(1, 1);
    let (first, second) = (bench.start(), bench.start());
    let mut all = Vec::new();
    for id in 1..=60 {
        all.push(bench.ask(id, vec![insert(KEYED, id, 0)]).await);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    for asked in &all {
        assert_eq!(asked.finished().await.phase, Phase::Applied);
        assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    }
    let markers = bench.log.events(0).iter().filter(|event| event.name() == "PartitionTaken").count();
    assert!((3..60).contains(&markers), "{markers} markers in ten minutes");
    first.kill().await;
    second.kill().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_ousted_owner_says_is_evidence_only() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Slow(Duration::from_secs(1))]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.append(partition(0), marker(1)).await;
    tokio::time::sleep(Duration::from_millis(950)).await;
    assert!(asked.story().contains(&"MutationApplied"), "what was in flight is told");
    assert!(!asked.life().phase.is_finished());
    running.kill().await;
    // The next one looks it up and finds it.
    let running = bench.start();
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_owner_renews_its_lease_before_it_calls() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    asked.finished().await;
    assert_eq!(asked.story(), ["MutationRequested", "MutationAttempted", "MutationApplied"]);
    let next = bench.ask(2, vec![insert(KEYED, 2, 0)]).await;
    next.finished().await;
    assert_eq!(next.story(), ["MutationRequested", "MutationApplied"], "the lease holds");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_finishes_what_is_in_flight_and_spares_the_next_one_the_look_up() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_500))]);
    let running = bench.start();
    let in_flight = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopping = tokio::spawn(running.stop());
    let late = bench.ask(2, vec![insert(NOTHING, 2, 0)]).await;
    stopping.await.unwrap();
    assert_eq!(in_flight.life().phase, Phase::Applied);
    assert_eq!(bench.log.events(0).last().map(Event::name), Some("PartitionReleased"));
    let running = bench.start();
    let life = late.finished().await;
    assert_eq!((life.phase, life.keep_claims), (Phase::Applied, false));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_told_to_the_log_before_the_partition_is_given_back() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::LostAfter]);
    bench.world.hide(true);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    running.stop().await;
    assert_eq!(asked.story(), ["MutationRequested", "MutationDeferred"]);
    bench.world.hide(false);
    let running = bench.start();
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    assert_eq!(bench.world.calls().len(), 1, "found, not sent again");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn claims_of_what_was_taken_over_outlive_the_old_owners_lease() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_000))]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.kill().await;
    let taken = tokio::time::Instant::now();
    let running = bench.start();
    assert!(asked.finished().await.keep_claims);
    asked.released().await;
    let kept = taken.elapsed();
    assert!(kept >= Duration::from_secs(20), "10 s of lease and 10 s of late effects: {kept:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn settling_survives_a_restart() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::LostAfter]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    assert!(asked.finished().await.keep_claims);
    running.kill().await;
    let running = bench.start();
    let life = asked.released().await;
    assert_eq!((life.phase, life.settled), (Phase::Applied, true));
    running.stop().await;
}

/// An announcement proves something only if it was read back, and no other marker came before it. The same goes
/// for a lease that an idle owner renews.
#[tokio::test(start_paused = true)]
async fn nothing_is_called_if_the_partition_was_taken_just_before() {
    for table in [PROBED, KEYED] {
        let bench = Bench::new(1, 1);
        let (running, dealer) = bench.start_with_first();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        bench.log.precede("MutationAttempted", marker(1));
        let asked = bench.ask(1, vec![insert(table, 1, 0)]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        dealer.lose(0);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(asked.story(), ["MutationRequested", "MutationAttempted"]);
        assert!(bench.world.calls().is_empty(), "{table}: called although another owns the partition");
        running.stop().await;
    }
}

/// Upstream away at start: the applier starts, tries, and says so in the log.
#[tokio::test(start_paused = true)]
async fn upstream_away_at_start_is_waited_for() {
    let bench = Bench::new(2, 1);
    bench.world.plan([Fault::Busy; 5]);
    let early = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    let running = bench.start();
    assert_eq!(early.finished().await.phase, Phase::Applied);
    assert!(early.story().contains(&"MutationDeferred"));
    running.stop().await;
}

/// A0 is cut off before it sends; A1 takes over, applies M1, M2 follows; A0 comes back with M1 still to be sent.
#[tokio::test(start_paused = true)]
async fn b3_an_owner_that_was_overtaken_does_not_send() {
    let bench = Bench::new(1, 1);
    bench.world.put(KEYED, "r", update(KEYED, "r", 0, 0).old);
    let (overtaken, dealer) = bench.start_with_first();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // Its lease has run out, and its word that it is still there does not arrive.
    bench.log.hold("MutationAttempted");
    let first = bench.ask(1, vec![update(KEYED, "r", 0, 1)]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(bench.world.calls().is_empty());
    let running = bench.start();
    assert_eq!(first.released().await.phase, Phase::Applied);
    let second = bench.ask(2, vec![update(KEYED, "r", 1, 2)]).await;
    assert_eq!(second.released().await.phase, Phase::Applied);
    bench.log.release();
    dealer.lose(0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    overtaken.stop().await;
    assert_eq!(bench.world.value(KEYED, "r", "n").as_deref(), Some("2"));
    assert_eq!(bench.world.calls().len(), 2);
    running.stop().await;
}

/// While the machine sleeps the lease runs out, although no timer ticks.
#[tokio::test(start_paused = true)]
async fn b3_a_lease_runs_out_during_suspend() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.suspend(Duration::from_secs(60));
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    asked.finished().await;
    assert!(asked.story().contains(&"MutationAttempted"), "looked before it sent");
    running.stop().await;
}
