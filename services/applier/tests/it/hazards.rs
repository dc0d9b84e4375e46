//! Executions that break the obvious way, each under its number.

use std::time::Duration;

use upwrite_events::{ErrorClass, Event, Outcome, Phase, Verdict};

use crate::double::{Bench, Fault, KEYED, NOTHING, NUMBERED, PROBED, insert, update};

const MINUTE: Duration = Duration::from_secs(60);

/// A record with `n` = 0.
fn record(bench: &Bench) {
    let row = update(KEYED, "r", 0, 0).old;
    bench.world.put(KEYED, "r", row);
}

/// M1's answer is lost, the resend succeeds, M2 is asked for as soon as M1's claims are gone, then attempt 1 executes.
#[tokio::test(start_paused = true)]
async fn b1_a_late_attempt_lands_before_the_next_mutation_may_begin() {
    let bench = Bench::new(1, 1);
    record(&bench);
    bench.world.plan([Fault::Late(Duration::from_millis(9_500)), Fault::None]);
    let running = bench.start();
    let first = bench.ask(1, vec![update(KEYED, "r", 0, 1)]).await;
    let life = first.finished().await;
    assert_eq!(life.verdict(), Some(Verdict::Applied(vec!["r".into()])));
    assert!(life.keep_claims, "the client has its verdict, the record stays claimed");
    assert_eq!(bench.world.effects(&first.idempotency_key(0)), 1, "the first attempt has not landed yet");
    first.released().await;
    assert_eq!(bench.world.effects(&first.idempotency_key(0)), 2, "now it has");
    let second = bench.ask(2, vec![update(KEYED, "r", 1, 2)]).await;
    second.released().await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(bench.world.value(KEYED, "r", "n").as_deref(), Some("2"));
    assert!(first.story().contains(&"MutationSettled"));
    running.stop().await;
}

/// M1 is in doubt and a read shows the old row: its claims stay until nothing can land any more.
#[tokio::test(start_paused = true)]
async fn b2_what_is_in_doubt_is_looked_at_again_after_the_last_late_effect() {
    let mut bench = Bench::new(1, 1);
    bench.config.deadline = Duration::from_secs(4);
    record(&bench);
    bench.world.plan([Fault::Late(Duration::from_millis(9_500))]);
    bench.world.hide(true);
    let running = bench.start();
    let asked = bench.ask(1, vec![update(KEYED, "r", 0, 1)]).await;
    let life = asked.finished().await;
    assert_eq!(life.phase, Phase::InDoubt);
    assert_eq!(life.failure.as_ref().map(|failure| failure.sqlstate.as_str()), Some("40003"));
    bench.world.hide(false);
    let life = asked.released().await;
    assert_eq!(bench.world.value(KEYED, "r", "n").as_deref(), Some("1"), "landed before the claims went");
    assert_eq!(life.phase, Phase::Applied, "and found out");
    running.stop().await;
}

/// A revocation meets a call in flight: no "withdrawn" unless the call is known not to have been applied.
#[tokio::test(start_paused = true)]
async fn b5_a_revocation_is_not_answered_while_a_call_is_in_flight() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Slow(Duration::from_millis(1_900)), Fault::LostBefore]);
    let running = bench.start();
    let slow = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    slow.revoke(&bench).await;
    assert_eq!(slow.finished().await.phase, Phase::Applied);
    assert!(!slow.story().contains(&"MutationRevoked"));

    let lost = bench.ask(2, vec![insert(KEYED, 2, 0)]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    lost.revoke(&bench).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!lost.life().phase.is_finished(), "nobody knows yet");
    assert_eq!(lost.finished().await.phase, Phase::Revoked, "once nothing can land, it is withdrawn, not sent again");
    assert_eq!(bench.world.effects(&lost.idempotency_key(0)), 0);
    assert_eq!(bench.world.calls().len(), 2);
    running.stop().await;
}

/// A successor must not withdraw what its predecessor may have sent.
#[tokio::test(start_paused = true)]
async fn b5_a_successor_does_not_withdraw_what_may_be_in_flight() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Late(Duration::from_secs(6))]);
    let first = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    first.kill().await;
    let second = bench.start();
    asked.revoke(&bench).await;
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    assert!(!asked.story().contains(&"MutationRevoked"));
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    second.stop().await;
}

/// What was not sent is withdrawn at once; what upstream puts off is withdrawn rather than retried.
#[tokio::test(start_paused = true)]
async fn a_revocation_is_answered_within_its_second() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Busy; 20]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    asked.revoke(&bench).await;
    let life = asked.until(Duration::from_secs(1), |life| life.phase.is_finished()).await;
    assert_eq!(life.phase, Phase::Revoked);
    assert!(life.is_released());
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 0);
    running.stop().await;
}

/// Create, answer lost, resend → duplicate from our own first attempt: looked up, never 23505.
#[tokio::test(start_paused = true)]
async fn b7_a_duplicate_of_our_own_is_no_failure() {
    let bench = Bench::new(1, 1);
    // Late by less than what the look-up and the resend take: the resend meets the first attempt's record.
    bench.world.plan([Fault::Late(Duration::from_millis(2_100)), Fault::None]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    let life = asked.finished().await;
    assert_eq!(life.verdict(), Some(Verdict::Applied(vec!["keyed-1".into()])));
    assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1);
    assert_eq!(bench.world.calls().len(), 2, "the resend was refused as a duplicate");
    running.stop().await;
}

/// Deferred for a day (daily quota) while many others pass; a restart finds it again.
#[tokio::test(start_paused = true)]
async fn b12_what_is_deferred_is_found_again_after_a_restart() {
    let mut bench = Bench::new(2, 1);
    bench.config.deadline = Duration::from_secs(3 * 86_400);
    bench.config.backoff_base = Duration::from_secs(86_400);
    bench.config.backoff_max = Duration::from_secs(86_400);
    bench.world.plan([Fault::Busy]);
    let running = bench.start();
    let deferred = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    deferred.until(MINUTE, |life| life.phase == Phase::Deferred).await;
    for id in 2..200 {
        bench.ask(id, vec![insert(KEYED, id, 0)]).await.finished().await;
    }
    running.kill().await;
    let running = bench.start();
    let after = bench.ask(1000, vec![insert(KEYED, 1000, 0)]).await;
    assert_eq!(after.finished().await.phase, Phase::Applied, "nobody waits for it");
    let waited = deferred.until(Duration::from_secs(2 * 86_400), |life| life.phase.is_finished()).await;
    assert_eq!(waited.phase, Phase::Applied);
    assert_eq!(bench.world.effects(&deferred.idempotency_key(0)), 1);
    running.stop().await;
}

/// Many rows in several calls, crash after the first: it is not sent again.
#[tokio::test(start_paused = true)]
async fn b17_a_call_that_was_recorded_is_not_made_again() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::None, Fault::Slow(Duration::from_millis(1_000))]);
    let running = bench.start();
    let asked = bench.ask(1, (0..8).map(|row| insert(KEYED, 1, row)).collect()).await;
    asked.until(MINUTE, |life| life.applied().count() == 3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.kill().await;
    let running = bench.start();
    let life = asked.finished().await;
    assert_eq!(life.phase, Phase::Applied);
    assert!((0..8).all(|row| bench.world.effects(&asked.idempotency_key(row)) == 1), "{:?}", bench.world.journal());
    let rows: Vec<usize> = bench.world.calls().iter().map(|call| call.rows).collect();
    assert!(rows == [3, 3, 2] || rows == [3, 3, 3, 2], "call 2 may be made again and be refused, call 1 not: {rows:?}");
    running.stop().await;
}

/// Where only a search can tell, every call is announced, and a resend waits until nothing can land.
#[tokio::test(start_paused = true)]
async fn a_probed_create_is_never_made_twice() {
    for late in [300, 3_000, 9_900] {
        let bench = Bench::new(1, 1);
        bench.world.plan([Fault::Late(Duration::from_millis(late))]);
        let running = bench.start();
        let asked = bench.ask(1, vec![insert(PROBED, 1, 0)]).await;
        let life = asked.finished().await;
        assert_eq!(life.phase, Phase::Applied);
        assert_eq!(asked.story()[1], "MutationAttempted");
        asked.released().await;
        tokio::time::sleep(MINUTE).await;
        assert_eq!(bench.world.effects(&asked.idempotency_key(0)), 1, "late by {late} ms");
        running.stop().await;
    }
}

/// A revocation that comes too late for the first rows stops neither the others nor the applier.
#[tokio::test(start_paused = true)]
async fn a_revocation_in_the_middle_of_announced_calls_changes_nothing() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::None, Fault::Slow(Duration::from_secs(1))]);
    let running = bench.start();
    let asked = bench.ask(1, (0..8).map(|row| insert(PROBED, 1, row)).collect()).await;
    asked.until(MINUTE, |life| life.applied().count() == 3).await;
    asked.revoke(&bench).await;
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    let announced = asked.story().into_iter().filter(|name| *name == "MutationAttempted").count();
    assert_eq!(announced, 3);
    running.stop().await;
}

/// Without an announcement in the log there was no call: a successor sends, and need not ask.
#[tokio::test(start_paused = true)]
async fn what_was_not_announced_was_not_sent() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.kill().await;
    let asked = bench.ask(1, vec![insert(NOTHING, 1, 0)]).await;
    let running = bench.start();
    assert_eq!(asked.finished().await.phase, Phase::Applied);
    running.stop().await;
}

/// Where nothing can tell, a lost answer is said to be one, and the mutation is not sent again.
#[tokio::test(start_paused = true)]
async fn a_create_that_nothing_can_tell_of_is_in_doubt() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::LostAfter]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(NOTHING, 1, 0)]).await;
    assert_eq!(asked.finished().await.phase, Phase::InDoubt);
    assert_eq!(asked.released().await.phase, Phase::InDoubt, "released, and still not known");
    assert_eq!(bench.world.calls().len(), 1);
    running.stop().await;
}

/// A refusal after earlier rows were applied: what was applied stays and is named, the rest is not sent.
#[tokio::test(start_paused = true)]
async fn a_later_call_that_is_refused_leaves_a_partial_mutation() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::None, Fault::Reject]);
    let running = bench.start();
    let asked = bench.ask(1, (0..8).map(|row| insert(KEYED, 1, row)).collect()).await;
    let life = asked.finished().await;
    let Some(Verdict::Partial { applied, failure: Some(failure) }) = life.verdict() else { panic!("{life:?}") };
    assert_eq!((applied, failure.outcome), (vec![0, 1, 2], Outcome::NotApplied));
    assert_eq!(bench.world.calls().len(), 2);
    running.stop().await;
}

/// Rows of one statement go all or none where upstream can: one that is refused takes the others with it.
#[tokio::test(start_paused = true)]
async fn rows_of_one_statement_are_all_or_none() {
    let bench = Bench::new(1, 1);
    bench.world.put(KEYED, "there", update(KEYED, "there", 0, 0).old);
    let running = bench.start();
    let asked = bench.ask(1, vec![update(KEYED, "there", 0, 1), update(KEYED, "gone", 0, 1)]).await;
    let life = asked.finished().await;
    let Some(Verdict::Rejected(failure)) = life.verdict() else { panic!("{life:?}") };
    assert_eq!(failure.class, ErrorClass::NotFound, "the one that decided, not its collateral");
    assert!(bench.world.journal().is_empty());
    assert!(bench.world.calls().iter().all(|call| call.atomic));
    running.stop().await;
}

/// References to records that the same mutation made are resolved.
#[tokio::test(start_paused = true)]
async fn b22_a_placeholder_of_the_same_mutation_is_resolved() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    let mut parent = insert(KEYED, 1, 0);
    parent.key = "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3c".into();
    let mut child = insert(PROBED, 1, 1);
    child.changed.insert("parent".into(), Some(parent.key.clone()));
    let asked = bench.ask(1, vec![parent, child]).await;
    let life = asked.finished().await;
    assert_eq!(life.verdict(), Some(Verdict::Applied(vec!["keyed-1".into(), "probed-2".into()])));
    assert_eq!(bench.world.value(PROBED, "probed-2", "parent").as_deref(), Some("keyed-1"));
    running.stop().await;
}

/// So are those by numbers, and only those: another column may have the same number.
#[tokio::test(start_paused = true)]
async fn b22_an_integer_placeholder_of_the_same_mutation_is_resolved() {
    let bench = Bench::new(1, 1);
    let running = bench.start();
    let number = i64::MIN.to_string();
    let (mut parent, mut child) = (insert(NUMBERED, 1, 0), insert(PROBED, 1, 1));
    parent.key.clone_from(&number);
    child.changed.insert("numbered_id".into(), Some(number.clone()));
    child.changed.insert("n".into(), Some(number.clone()));
    let asked = bench.ask(1, vec![parent, child]).await;
    let life = asked.finished().await;
    assert_eq!(life.verdict(), Some(Verdict::Applied(vec!["1".into(), "probed-2".into()])));
    assert_eq!(bench.world.value(PROBED, "probed-2", "numbered_id").as_deref(), Some("1"));
    assert_eq!(bench.world.value(PROBED, "probed-2", "n"), Some(number));
    running.stop().await;
}

/// Rows that wait at the same time travel together; nobody waits for company.
#[tokio::test(start_paused = true)]
async fn waiting_rows_of_many_mutations_share_a_call() {
    let bench = Bench::new(1, 1);
    // Four calls may be in flight: they keep the others waiting.
    bench.world.plan([Fault::Slow(Duration::from_secs(1)); 4]);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut all = Vec::new();
    for id in 1..=10 {
        all.push(bench.ask(id, vec![insert(KEYED, id, 0)]).await);
    }
    for asked in &all {
        assert_eq!(asked.finished().await.phase, Phase::Applied);
    }
    let rows: Vec<usize> = bench.world.calls().iter().map(|call| call.rows).collect();
    assert_eq!(rows, [1, 1, 1, 1, 3, 3]);
    assert!(bench.world.calls().iter().all(|call| !call.atomic));
    running.stop().await;
}

/// A long wait is a fact in the log, once per attempt.
#[tokio::test(start_paused = true)]
async fn waits_are_facts_but_do_not_flood_the_log() {
    let bench = Bench::new(1, 1);
    bench.world.plan([Fault::Busy; 6]);
    let running = bench.start();
    let asked = bench.ask(1, vec![insert(KEYED, 1, 0)]).await;
    asked.finished().await;
    let deferred = bench.log.events(0).into_iter().filter_map(|event| match event {
        Event::MutationDeferred(deferred) => Some(deferred.attempt),
        _ => None,
    });
    // Delays of 0.2, 0.4, 0.8, 1.6, 3.2, 6.4 s: the first three are not worth a fact.
    assert_eq!(deferred.collect::<Vec<_>>(), [4, 5, 6]);
    running.stop().await;
}
