//! After a restore or a truncation: noticed, recovered, and nothing is sent twice (hazard B11).

use sqlx::{AssertSqlSafe, Executor as _};
use upwrite_event_log::{EventLog, LogError, Submission, Submitted, VersionCheck};
use upwrite_events::*;
use upwrite_reconciler::{Binding, Rebuild, RebuildError, RecoverReport};

use super::{damage, rebuild};
use crate::world::*;

const STATE: [&str; 9] = [
    "upwrite.log",
    "upwrite.log_partitions",
    "upwrite.claims",
    "upwrite.positions",
    "upwrite.mutations",
    "upwrite.records",
    "upwrite.rereads",
    "upwrite.tables",
    "crm.contact",
];

/// Keeps the database's present state.
async fn dump(world: &World) {
    for of in STATE {
        let sql = format!("create table public.{} as select * from {of}", of.replace('.', "_"));
        world.admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// Brings the state of [`dump`] back, as a restore would. Nobody else may be at work.
async fn restore(world: &mut World) {
    let sql: String = STATE
        .iter()
        .map(|of| {
            let kept = of.replace('.', "_");
            format!("delete from {of}; insert into {of} overriding system value select * from public.{kept}; ")
        })
        .collect();
    damage(world, sql.trim_end_matches("; ")).await;
    world.log = world.another_log().await;
}

async fn recover(world: &World) -> RecoverReport {
    rebuild(world).recover(&Binding::default()).await.unwrap()
}

async fn applied(world: &World, mutation: MutationId, partition: Partition, key: &str, at: i64) {
    let row = applied_row(key, Some(image(key, "Ada", "1")), Some(&format!("{at:04}")), (at, at + 1));
    world.outcome(partition, world.applied(mutation, vec![row])).await;
    assert_eq!(world.finished(mutation).await, "applied");
}

/// As an applier that comes later would find it.
async fn folded(world: &World, mutation: MutationId, partition: Partition) -> Lifecycle {
    let mut fold = PartitionFold::default();
    let mut from = world.log.start(partition).await.unwrap();
    loop {
        let records = world.log.read(partition, from, 1000).await.unwrap();
        let Some(last) = records.last() else { break };
        from = last.position.next();
        for record in records {
            let _ = fold.apply(record.position, &record.event.unwrap());
        }
    }
    fold.get(mutation).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_database_restored_to_an_older_state_is_recovered() {
    let mut world = World::start().await;
    let (first, at) = world.submit(insert()).await;
    applied(&world, first, at, "003A", 1).await;
    let (open, open_at) = world.submit(change(Op::Update, "003A", "Grace")).await;
    world.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
    world.admin.execute("update upwrite.tables set backfilled_at = now()").await.unwrap();
    world.stop().await;
    dump(&world).await;
    // What the restored state does not know: the open one was applied, and another one came.
    world.run();
    applied(&world, open, open_at, "003A", 3).await;
    let (later, later_at) = world.submit(insert()).await;
    applied(&world, later, later_at, "003B", 5).await;
    world.stop().await;
    restore(&mut world).await;

    let report = recover(&world).await;
    assert_eq!(
        (report.in_doubt, report.lost, report.claims, report.tables, report.rereads),
        (1, 0, 1, 1, 1),
        "{report:?}"
    );
    assert_eq!(report.positions_set, 0);
    let again = recover(&world).await;
    assert_eq!((again.in_doubt, again.claims), (0, 1), "twice is once: {again:?}");
    assert_eq!(world.value::<String>("select recovery_barrier from upwrite.deployment").await, None);
    let swept: Option<bool> = world.value("select true from upwrite.tables where backfilled_at is null").await;
    assert_eq!(swept, Some(true));

    // Whoever applies now does not send it: it has its end.
    assert_eq!(folded(&world, open, open_at).await.phase, Phase::InDoubt);
    world.run();
    assert_eq!(world.finished(open).await, "in_doubt");
    assert_eq!(world.claims(open).await, 1);
    let request = request(MutationId(uuid::Uuid::now_v7()), change(Op::Update, "003A", "Third"));
    let claim = upwrite_event_log::Claim { table: table(), key: upwrite_event_log::ClaimKey("id=003A".into()) };
    let version = VersionCheck { table: table(), key: "003A".into(), version: Some(1) };
    let submission = Submission { claims: vec![claim], versions: vec![version], request };
    match world.log.submit(submission.clone()).await.unwrap() {
        Submitted::Claimed { by, .. } => assert_eq!(by, open),
        other => panic!("{other:?}"),
    }
    // An applier takes over and settles; the old owner's word does not count.
    world.outcome(open_at, world.applied(open, vec![applied_row("003A", None, None, (7, 8))])).await;
    world.owner = OwnerId(uuid::Uuid::now_v7());
    let taken = PartitionTaken { owner: world.owner, process: "test".into(), lease_ms: 1 };
    world.outcome(open_at, Event::PartitionTaken(taken)).await;
    let rows = vec![applied_row("003A", Some(image("003A", "Grace", "1")), Some("0009"), (9, 10))];
    let settled = MutationSettled { mutation: open, owner: world.owner, applied: vec![0], not_applied: vec![], rows };
    world.outcome(open_at, Event::MutationSettled(settled)).await;
    let sql = format!("select true from upwrite.mutations where id = '{open}' and state = 'applied' and released");
    world.wait::<bool>("the end", &sql).await;
    assert_eq!(world.claims(open).await, 0);
    let stale = world.log.submit(submission).await.unwrap();
    assert!(matches!(stale, Submitted::Stale), "the row was written: {stale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_truncated_log_is_refused_and_recovered() {
    let mut world = World::start().await;
    let (first, at) = world.submit(change(Op::Update, "003A", "Ada")).await;
    let keep = world.log.end(at).await.unwrap();
    applied(&world, first, at, "003A", 1).await;
    // The same record: the same partition. One finished and one unfinished that the log will not know.
    let (second, second_at) = world.submit(change(Op::Update, "003A", "Ada")).await;
    applied(&world, second, second_at, "003A", 3).await;
    let (third, _) = world.submit(change(Op::Update, "003A", "Ada")).await;
    world.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{third}'")).await;
    world.stop().await;
    let sql = format!(
        "delete from upwrite.log where stream = 'mutations' and partition = {0} and position >= {1};
         update upwrite.log_partitions set next_position = {1} where stream = 'mutations' and partition = {0}",
        at.number, keep.0
    );
    world.admin.execute(AssertSqlSafe(sql)).await.unwrap();
    world.log = world.another_log().await;
    assert!(matches!(rebuild(&world).table(&table()).await, Err(RebuildError::Refused(_))));
    assert!(matches!(rebuild(&world).projections().await, Err(RebuildError::Refused(_))));
    let row: Option<String> = world.value("select name from crm.contact where id = '003A'").await;

    let report = recover(&world).await;
    assert_eq!((report.positions_set, report.in_doubt, report.lost, report.claims), (1, 1, 1, 1), "{report:?}");
    assert_eq!(folded(&world, first, at).await.phase, Phase::InDoubt);
    assert_eq!(world.value::<String>("select name from crm.contact where id = '003A'").await, row, "never backwards");
    world.run();
    let state = async |mutation: MutationId, state: &str| {
        let sql = format!(
            "select true from upwrite.mutations where id = '{mutation}' and state = '{state}' and finished_at is not null"
        );
        world.wait::<bool>(state, &sql).await;
    };
    state(first, "in_doubt").await;
    state(second, "applied").await;
    state(third, "in_doubt").await;
    assert_eq!((world.claims(first).await, world.claims(third).await), (1, 0));
    // Writing works again.
    let (next, next_at) = world.submit(change(Op::Update, "003B", "B")).await;
    world.owner = OwnerId(uuid::Uuid::now_v7());
    let taken = PartitionTaken { owner: world.owner, process: "test".into(), lease_ms: 1 };
    world.outcome(next_at, Event::PartitionTaken(taken)).await;
    applied(&world, next, next_at, "003B", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_while_the_gate_is_closed() {
    let world = World::start().await;
    world.admin.execute("update upwrite.deployment set recovery_barrier = 'closed by a test'").await.unwrap();
    let claim = upwrite_event_log::Claim { table: table(), key: upwrite_event_log::ClaimKey("id=003A".into()) };
    let request = request(MutationId(uuid::Uuid::now_v7()), change(Op::Update, "003A", "Ada"));
    let submission = Submission { claims: vec![claim], versions: vec![], request };
    match world.log.submit(submission.clone()).await {
        Err(LogError::NotAppended(reason)) => assert!(reason.contains("closed by a test"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.value::<i64>("select count(*) from upwrite.claims").await, Some(0));
    // Killed in the middle: the gate is as it was left, and a run to the end opens it.
    recover(&world).await;
    assert!(matches!(world.log.submit(submission).await.unwrap(), Submitted::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_killed_anywhere_is_run_again() {
    let mut world = World::start().await;
    let (first, at) = world.submit(insert()).await;
    applied(&world, first, at, "003A", 1).await;
    let (open, open_at) = world.submit(change(Op::Update, "003A", "Grace")).await;
    world.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
    world.stop().await;
    for steps in (0..24).step_by(2) {
        let (teller, mut told) = tokio::sync::mpsc::channel(64);
        let rebuild = Rebuild::new(world.reconciler.clone(), world.log.clone(), Some(teller));
        let running = tokio::spawn(async move { rebuild.recover(&Binding::default()).await.map(drop) });
        for _ in 0..=steps {
            if told.recv().await.is_none() {
                break;
            }
        }
        running.abort();
        let _ = running.await;
    }
    // The session of one that was killed may hold its locks for a moment yet.
    let report = loop {
        match rebuild(&world).recover(&Binding::default()).await {
            Ok(report) => break report,
            Err(RebuildError::Database { source: sqlx::Error::Database(error), .. })
                if error.code().as_deref() == Some("55P03") => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((report.in_doubt, report.claims, report.lost), (0, 1, 0), "marked by one of those before: {report:?}");
    assert_eq!(world.value::<String>("select recovery_barrier from upwrite.deployment").await, None);
    assert_eq!(folded(&world, open, open_at).await.phase, Phase::InDoubt);
    let doubts: i64 = world.value("select count(*) from upwrite.log where event = 'MutationInDoubt'").await.unwrap();
    assert_eq!(doubts, 1);
    world.run();
    assert_eq!(world.finished(open).await, "in_doubt");
}
