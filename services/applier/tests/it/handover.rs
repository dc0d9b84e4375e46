//! Partitions that go from one applier to another.

use std::time::Duration;

use upwrite_applier::PartitionState;
use upwrite_events::{Event, Phase};

use crate::double::{Bench, Dealer, Fault, KEYED, NOTHING, PROBED, Running, insert, update};

const SECOND: Duration = Duration::from_secs(1);

/// A0 stands still just before it sends (SIGSTOP: the machine's clock goes on); A1 takes over, applies M1, M2 follows;
/// A0 wakes up with M1 in its hand.
#[tokio::test(start_paused = true)]
async fn b3_a_paused_owner_sends_nothing_when_it_wakes() {
    let bench = Bench::new(1, 1);
    bench.world.put(KEYED, "r", update(KEYED, "r", 0, 0).old);
    let (paused, mut of_paused) = bench.start_with_first();
    tokio::time::sleep(SECOND).await;
    // It reads of M1 and is about to call: from here to the call nothing of it runs.
    paused.pause();
    let first = bench.ask(1, vec![update(KEYED, "r", 0, 1)]).await;
    tokio::time::sleep(SECOND).await;
    assert!(bench.world.calls().is_empty());
    let (running, _of_running) = bench.start_with_first();
    assert_eq!(first.released().await.phase, Phase::Applied);
    let second = bench.ask(2, vec![update(KEYED, "r", 1, 2)]).await;
    assert_eq!(second.released().await.phase, Phase::Applied);
    let calls = bench.world.calls().len();
    paused.resume();
    tokio::time::sleep(Duration::from_millis(900)).await;
    of_paused.lose(0);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(bench.world.calls().len(), calls, "nothing was sent after the pause");
    assert_eq!(bench.world.value(KEYED, "r", "n").as_deref(), Some("2"));
    // It is of use again.
    of_paused.assign(0);
    tokio::time::sleep(SECOND).await;
    let third = bench.ask(3, vec![update(KEYED, "r", 2, 3)]).await;
    assert_eq!(third.finished().await.phase, Phase::Applied);
    of_paused.recall(0).await;
    paused.stop().await;
    running.kill().await;
}

/// The outcome of A0's call lands behind A1's marker; A1 has applied M1, and M2 followed. It changes nothing.
#[tokio::test(start_paused = true)]
async fn b4_an_outcome_behind_the_next_owners_marker_is_evidence_only() {
    let bench = Bench::new(1, 1);
    bench.world.put(KEYED, "r", update(KEYED, "r", 0, 0).old);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_500)), Fault::Busy, Fault::Busy, Fault::Busy]);
    let (old, of_old) = bench.start_with_first();
    let first = bench.ask(1, vec![update(KEYED, "r", 0, 1)]).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.world.calls().len(), 1);
    let (new, _of_new) = bench.start_with_first();
    tokio::time::sleep(Duration::from_millis(200)).await;
    of_old.lose(0);
    // A1 finds what it took over not done, tries and is sent away; and may not believe A0 when that says that it is done.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let told = bench.log.events(0).iter().rposition(|event| event.name() == "MutationApplied");
    let marker = bench.log.events(0).iter().rposition(|event| event.name() == "PartitionTaken");
    assert!(told > marker, "the old owner's outcome is in the log: {:?}", first.story());
    assert!(!first.life().phase.is_finished());
    let life = first.finished().await;
    assert_eq!((life.phase, life.keep_claims), (Phase::Applied, true), "by the new owner, with claims that outlive it");
    assert_eq!(first.released().await.phase, Phase::Applied);
    let second = bench.ask(2, vec![update(KEYED, "r", 1, 2)]).await;
    assert_eq!(second.released().await.phase, Phase::Applied);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(bench.world.value(KEYED, "r", "n").as_deref(), Some("2"));
    old.stop().await;
    new.kill().await;
}

/// Recalled while calls are in flight: they end, their outcomes are appended, and the next owner has nothing to wait for.
#[tokio::test(start_paused = true)]
async fn an_orderly_handover_leaves_nothing_open() {
    let bench = Bench::new(2, 1);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_500))]);
    let (old, mut of_old) = bench.start_with_first();
    of_old.assign(1);
    tokio::time::sleep(SECOND).await;
    let mut asked = Vec::new();
    for id in 1..=12 {
        asked.push(bench.ask(id, vec![insert(KEYED, id, 0)]).await);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (here, there): (Vec<_>, Vec<_>) = asked.into_iter().partition(|asked| asked.partition.number == 0);
    assert!(!here.is_empty() && !there.is_empty());
    let (new, of_new) = bench.start_with_nothing();
    tokio::time::timeout(5 * SECOND, of_old.recall(0)).await.expect("given back");
    assert_eq!(bench.log.events(0).last().map(Event::name), Some("PartitionReleased"));
    let late = bench.ask(100, vec![insert(NOTHING, 3, 0)]).await;
    of_new.assign(0);
    for asked in here.iter().chain(&there) {
        let life = asked.finished().await;
        assert_eq!((life.phase, life.keep_claims), (Phase::Applied, false), "{:?}", asked.story());
        assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    }
    assert!(!late.finished().await.keep_claims);
    // The other partition was not touched by that.
    let markers = bench.log.events(1).iter().filter(|event| event.name().starts_with("Partition")).count();
    assert_eq!(markers, 1);
    old.stop().await;
    assert_eq!(bench.log.events(1).last().map(Event::name), Some("PartitionReleased"));
    new.stop().await;
}

/// An answer that does not come within the grace period delays no other; it is not an orderly end then.
#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_the_grace_period_does_not_hold_the_partition() {
    let mut bench = Bench::new(1, 1);
    bench.config.grace = Duration::from_millis(500);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_800))]);
    let (old, mut of_old) = bench.start_with_first();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let recalled = tokio::time::Instant::now();
    of_old.recall(0).await;
    assert!(recalled.elapsed() <= Duration::from_millis(600));
    assert_ne!(bench.log.events(0).last().map(Event::name), Some("PartitionReleased"));
    let (new, _of_new) = bench.start_with_first();
    let life = asked.finished().await;
    assert_eq!((life.phase, life.keep_claims), (Phase::Applied, true));
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    old.stop().await;
    new.stop().await;
}

/// A0 crashed with a call in flight. A1 takes over, cannot find out, and gives back in good order; the row in Postgres
/// was written before any of that. A2 must not send.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_is_remembered_through_an_orderly_owner() {
    for table in [KEYED, PROBED] {
        let bench = Bench::new(1, 1);
        bench.world.plan([Fault::LostAfter]);
        let (first, _dealer) = bench.start_with_first();
        let asked = bench.ask(1, vec![insert(table, 1, 0)]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.kill().await;
        bench.world.hide(true);
        let (second, mut dealer) = bench.start_with_first();
        tokio::time::sleep(Duration::from_millis(20)).await;
        dealer.recall(0).await;
        second.stop().await;
        bench.world.hide(false);
        let (third, _dealer) = bench.start_with_first();
        assert_eq!(asked.finished().await.phase, Phase::Applied, "{table}");
        assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1, "{table}");
        assert_eq!(bench.world.calls().len(), 1, "{table}: found, not sent again");
        third.stop().await;
    }
}

/// Partitions go to and fro, in good order and in none, while everybody writes.
#[tokio::test(start_paused = true)]
async fn a_rebalance_storm_loses_nothing() {
    let bench = std::sync::Arc::new(Bench::new(3, 7));
    bench.world.misbehave(0.1);
    let mut members: Vec<(Running, Dealer)> = (0..3).map(|_| bench.start_with_nothing()).collect();
    for (number, (_, dealer)) in (0..).zip(&members) {
        dealer.assign(number);
    }
    let writer = tokio::spawn({
        let bench = std::sync::Arc::clone(&bench);
        async move {
            let mut asked = Vec::new();
            for id in 1..=300 {
                let table = if id % 3 == 0 { PROBED } else { KEYED };
                asked.push(bench.ask(id, vec![insert(table, id, 0)]).await);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            asked
        }
    });
    let mut owner = [0usize, 1, 2];
    for round in 0..90usize {
        let number = round % 3;
        let (from, to) = (owner[number], (owner[number] + 1 + round % 2) % 3);
        let item = number as u16;
        if round % 7 == 3 {
            // Its connection to the group was away: it hears of it later than the next one.
            members[to].1.assign(item);
            tokio::time::sleep(Duration::from_millis(400)).await;
            members[from].1.lose(item);
        } else {
            members[from].1.recall(item).await;
            members[to].1.assign(item);
        }
        owner[number] = to;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    bench.world.misbehave(0.0);
    let mut unknown = 0;
    for asked in writer.await.unwrap() {
        let life = asked.released().await;
        let effects = bench.world.effects(&asked.idempotency_key(0));
        match life.phase {
            Phase::Applied => assert_eq!(effects, 1, "{:?}", asked.story()),
            Phase::Rejected => assert_eq!(effects, 0, "{:?}", asked.story()),
            Phase::InDoubt => unknown += 1,
            other => panic!("{other:?}: {:?}", asked.story()),
        }
    }
    assert!(unknown < 30, "{unknown} of 300 in doubt");
    for (running, _) in members {
        assert!(running.is_running());
        running.stop().await;
    }
}

/// What only a newer version can read stops its partition, loudly, and no other.
#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_version_stops_its_partition_only() {
    let mut bench = Bench::new(2, 1);
    let (status, shown) = tokio::sync::watch::channel(Default::default());
    bench.config.status = Some(status);
    let running = bench.start();
    tokio::time::sleep(SECOND).await;
    bench.log.newer(0);
    let mut of = [Vec::new(), Vec::new()];
    for id in 1..20 {
        let asked = bench.ask(id, vec![insert(KEYED, id, 0)]).await;
        of[usize::from(asked.partition.number)].push(asked);
    }
    for asked in &of[1] {
        assert_eq!(asked.finished().await.phase, Phase::Applied);
    }
    tokio::time::sleep(60 * SECOND).await;
    assert!(!of[0].is_empty() && of[0].iter().all(|asked| asked.life().phase == Phase::Requested));
    let stages: Vec<_> = shown.borrow().partitions.iter().map(|at| (at.partition, at.state)).collect();
    assert_eq!(stages, [(0, PartitionState::Halted), (1, PartitionState::Owner)]);
    assert!(shown.borrow().partitions[0].halted.as_ref().is_some_and(|reason| reason.contains("newer")));
    running.stop().await;
}

/// A marker whose answer was lost, and that comes by much later, behind the one that counts.
#[tokio::test(start_paused = true)]
async fn a_marker_of_our_own_that_comes_late_only_costs_another_one() {
    let bench = Bench::new(1, 1);
    bench.log.straggle("PartitionTaken", 5 * SECOND);
    let running = bench.start();
    tokio::time::sleep(10 * SECOND).await;
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    let markers = bench.log.events(0).iter().filter(|event| event.name() == "PartitionTaken").count();
    assert_eq!(markers, 3, "the one that counted, the late one, and the one after it");
    running.stop().await;
}
