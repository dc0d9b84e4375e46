//! On real components: the Postgres log, and the Salesforce connector against the stand-in.

mod bench;

use std::collections::BTreeSet;
use std::time::Duration;

use upwrite_event_log::{BootClock, Clock as _};
use upwrite_events::{Event, Op, Phase, RowState, Verdict};
use upwrite_sandbox::{EffectOp, Fault};
use upwrite_testkit::until;

use bench::{Bench, contact, contact_update};

fn failing(status: u16) -> Fault {
    Fault::ServerError { status, applied: false }
}

#[tokio::test]
async fn a_row_is_created_changed_and_deleted() {
    let bench = Bench::start().await;
    let running = bench.run().await;
    let created = bench.ask(vec![contact("Lovelace")]).await;
    let life = bench.finished(created).await;
    let Some(Verdict::Applied(keys)) = life.verdict() else { panic!("{life:?}") };
    let image = bench.image(created).await.expect("read back");
    assert_eq!(image["last_name"].as_deref(), Some("Lovelace"));
    assert_eq!(image["id"].as_deref(), Some(keys[0].as_str()));
    assert!(!life.keep_claims);

    let changed = bench.ask(vec![contact_update(&keys[0], "Lovelace", "King")]).await;
    assert_eq!(bench.finished(changed).await.phase, Phase::Applied);
    assert_eq!(bench.image(changed).await.expect("read back")["last_name"].as_deref(), Some("King"));

    let mut gone = contact_update(&keys[0], "King", "King");
    (gone.op, gone.changed) = (Op::Delete, Default::default());
    let gone = bench.ask(vec![gone]).await;
    assert_eq!(bench.finished(gone).await.phase, Phase::Applied);
    let ops: Vec<EffectOp> = bench.sandbox.journal_after(0).iter().map(|effect| effect.op).collect();
    assert_eq!(ops, [EffectOp::Create, EffectOp::Update, EffectOp::Delete]);
    running.stop().await;
}

#[tokio::test]
async fn b7_a_lost_answer_does_not_become_a_duplicate() {
    let bench = Bench::start().await;
    bench.fault("create", Fault::LoseAnswer);
    let running = bench.run().await;
    let asked = bench.ask(vec![contact("Lovelace")]).await;
    let life = bench.finished(asked).await;
    assert_eq!(life.phase, Phase::Applied);
    assert_eq!(bench.sandbox.journal_after(0).len(), 1);
    let life = bench.released(asked).await;
    assert!(life.keep_claims && life.settled);
    running.stop().await;
}

#[tokio::test]
async fn b1_a_late_attempt_lands_before_the_claims_go() {
    let bench = Bench::start().await;
    let running = bench.run().await;
    let created = bench.ask(vec![contact("Lovelace")]).await;
    let Some(Verdict::Applied(keys)) = bench.finished(created).await.verdict() else { panic!() };
    bench.fault("update", Fault::ExecuteLate { delay_ms: Some(1_500), close_after_ms: 0 });
    let asked = bench.ask(vec![contact_update(&keys[0], "Lovelace", "King")]).await;
    assert_eq!(bench.finished(asked).await.phase, Phase::Applied);
    bench.released(asked).await;
    let executed = bench.sandbox.requests_after(0).into_iter().filter(|request| request.op == "update").count();
    assert_eq!(executed, 2, "the late one and the resend");
    let next = bench.ask(vec![contact_update(&keys[0], "King", "Byron")]).await;
    bench.finished(next).await;
    // Three took effect: the resent one, the late one, and the next one. The late one came before the last.
    let updates = || async {
        let effects = bench.sandbox.journal_after(0);
        (effects.iter().filter(|effect| effect.op == EffectOp::Update).count() == 3).then_some(())
    };
    until(Duration::from_secs(10), "the late one", updates).await;
    let names: Vec<_> = bench
        .sandbox
        .records("Contact", false)
        .into_iter()
        .filter(|row| row["Id"] == keys[0].as_str())
        .map(|row| row["LastName"].clone())
        .collect();
    assert_eq!(names, ["Byron"], "nothing came back");
    running.stop().await;
}

#[tokio::test]
async fn rows_500_travel_in_3_calls_and_get_one_verdict() {
    let bench = Bench::start().await;
    let running = bench.run().await;
    let asked = bench.ask((0..500).map(|row| contact(&format!("Row {row}"))).collect()).await;
    let life = bench.finished(asked).await;
    let Some(Verdict::Applied(keys)) = life.verdict() else { panic!("{life:?}") };
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 500);
    let creates = bench.sandbox.requests_after(0).into_iter().filter(|request| request.op == "create").count();
    assert_eq!(creates, 3);
    running.stop().await;
}

#[tokio::test]
async fn b17_a_crash_between_calls_repeats_none_of_them() {
    let bench = Bench::start().await;
    // The second call of three is held; the process dies meanwhile.
    bench.fault_after("create", 1, Fault::Hold { applied: true });
    let running = bench.run().await;
    let asked = bench.ask((0..500).map(|row| contact(&format!("Row {row}"))).collect()).await;
    bench.until(asked, |life| life.applied().count() == 200).await;
    assert_eq!(bench.sandbox.wait_held(1, Duration::from_secs(10)).await.len(), 1);
    running.kill().await;
    let running = bench.run().await;
    let life = bench.finished(asked).await;
    assert_eq!(life.phase, Phase::Applied, "{:?}", life.failure);
    assert_eq!(bench.sandbox.journal_after(0).len(), 500);
    assert!(life.rows.iter().all(|row| matches!(row, RowState::Applied(_))));
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_postgres_would() {
    let bench = Bench::start().await;
    let running = bench.run().await;
    let mut nameless = contact("x");
    nameless.changed.clear();
    nameless.changed.insert("first_name".into(), Some("Ada".into()));
    let asked = bench.ask(vec![nameless]).await;
    let Some(Verdict::Rejected(failure)) = bench.finished(asked).await.verdict() else { panic!() };
    assert_eq!((failure.sqlstate.as_str(), failure.column.as_deref()), ("23502", Some("last_name")));
    running.stop().await;
}

#[tokio::test]
async fn upstream_in_trouble_is_tried_again() {
    let bench = Bench::start().await;
    for _ in 0..2 {
        bench.fault("create", failing(503));
    }
    bench.fault("create", Fault::Limit429 { retry_after_s: 1 });
    let running = bench.run().await;
    let asked = bench.ask(vec![contact("Lovelace")]).await;
    let life = bench.finished(asked).await;
    assert_eq!(life.phase, Phase::Applied);
    assert_eq!(bench.sandbox.journal_after(0).len(), 1);
    running.stop().await;
}

/// A start reads the log not from its beginning, but from where the reconciler is: the older part is in its projections.
#[tokio::test]
async fn a_restart_goes_on_from_the_snapshot() {
    let bench = Bench::start().await;
    let running = bench.run().await;
    let done = bench.ask(vec![contact("Done")]).await;
    bench.finished(done).await;
    running.stop().await;
    let waiting = bench.ask(vec![contact("Waiting")]).await;
    bench.project().await;
    let later = bench.ask(vec![contact("Later")]).await;
    let running = bench.run().await;
    for asked in [waiting, later] {
        let life = bench.finished(asked).await;
        assert_eq!((life.phase, life.keep_claims), (Phase::Applied, false), "given back in an orderly way");
    }
    assert_eq!(bench.sandbox.journal_after(0).len(), 3);
    assert!(bench.events().await.iter().any(|event| matches!(event, Event::PartitionReleased(_))));
    running.stop().await;
}

/// Two processes on one database: they share the partitions; one leaves, comes again, and is killed.
#[tokio::test]
async fn two_appliers_share_the_partitions_and_take_over_from_each_other() {
    let bench = Bench::start().await;
    let mut first = bench.run_in_group();
    first.owns(2).await;
    let mut second = bench.run_in_group();
    second.owns(1).await;
    first.owns(1).await;
    let both = [bench.ask_in(0, "One").await, bench.ask_in(1, "Two").await];
    for asked in both {
        assert_eq!(bench.finished(asked).await.phase, Phase::Applied);
    }
    second.stop().await;
    first.owns(2).await;
    let mut second = bench.run_in_group();
    second.owns(1).await;
    first.owns(1).await;
    let clock = BootClock::new().unwrap();
    let killed = clock.now();
    first.kill().await;
    let both = [bench.ask_in(0, "Three").await, bench.ask_in(1, "Four").await];
    for asked in both {
        assert_eq!(bench.finished(asked).await.phase, Phase::Applied);
    }
    println!("first verdict of the taken-over partition {:?} after the kill", clock.now().since(killed));
    assert_eq!(bench.sandbox.journal_after(0).len(), 4, "each once");
    second.owns(2).await;
    second.stop().await;
}
