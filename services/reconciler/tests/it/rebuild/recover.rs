//! After a restore or a truncation: noticed, recovered, and nothing is sent twice (hazard B11).

use sqlx::{AssertSqlSafe, Executor as _};
use upwrite_event_log::{EventLog, LogError, Submission, Submitted, VersionCheck};
use upwrite_events::*;
use upwrite_reconciler::{Binding, Rebuild, RebuildError, RecoverReport};

use super::{damage, rebuild};
use crate::deployment::*;

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
async fn dump(deployment: &TestDeployment) {
    for of in STATE {
        let sql = format!("create table public.{} as select * from {of}", of.replace('.', "_"));
        deployment.admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// Brings the state of [`dump`] back, as a restore would. Nobody else may be at work.
async fn restore(deployment: &mut TestDeployment) {
    let sql: String = STATE
        .iter()
        .map(|of| {
            let kept = of.replace('.', "_");
            format!("delete from {of}; insert into {of} overriding system value select * from public.{kept}; ")
        })
        .collect();
    damage(deployment, sql.trim_end_matches("; ")).await;
    deployment.log = deployment.another_log().await;
}

async fn recover(deployment: &TestDeployment) -> RecoverReport {
    rebuild(deployment).recover(&Binding::default()).await.unwrap()
}

async fn applied(deployment: &TestDeployment, mutation: MutationId, partition: Partition, key: &str, at: i64) {
    let row = applied_row(key, Some(image(key, "Ada", "1")), Some(&format!("{at:04}")), (at, at + 1));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
}

/// As an applier that comes later would find it.
async fn folded(deployment: &TestDeployment, mutation: MutationId, partition: Partition) -> Lifecycle {
    let mut fold = PartitionFold::default();
    let mut from = deployment.log.start(partition).await.unwrap();
    loop {
        let records = deployment.log.read(partition, from, 1000).await.unwrap();
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
    let mut deployment = TestDeployment::start().await;
    let (first, at) = deployment.submit(insert()).await;
    applied(&deployment, first, at, "003A", 1).await;
    let (open, open_at) = deployment.submit(change(Op::Update, "003A", "Grace")).await;
    deployment.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
    deployment.admin.execute("update upwrite.tables set backfilled_at = now()").await.unwrap();
    deployment.stop().await;
    dump(&deployment).await;
    // What the restored state does not know: the open one was applied, and another one came.
    deployment.run();
    applied(&deployment, open, open_at, "003A", 3).await;
    let (later, later_at) = deployment.submit(insert()).await;
    applied(&deployment, later, later_at, "003B", 5).await;
    deployment.stop().await;
    restore(&mut deployment).await;

    let report = recover(&deployment).await;
    assert_eq!(
        (report.in_doubt, report.lost, report.claims, report.tables, report.rereads),
        (1, 0, 1, 1, 1),
        "{report:?}"
    );
    assert_eq!(report.positions_set, 0);
    let again = recover(&deployment).await;
    assert_eq!((again.in_doubt, again.claims), (0, 1), "twice is once: {again:?}");
    assert_eq!(deployment.value::<String>("select recovery_barrier from upwrite.deployment").await, None);
    let swept: Option<bool> = deployment.value("select true from upwrite.tables where backfilled_at is null").await;
    assert_eq!(swept, Some(true));

    // Whoever applies now does not send it: it has its end.
    assert_eq!(folded(&deployment, open, open_at).await.phase, Phase::InDoubt);
    deployment.run();
    assert_eq!(deployment.finished(open).await, "in_doubt");
    assert_eq!(deployment.claims(open).await, 1);
    let request = request(MutationId(uuid::Uuid::now_v7()), change(Op::Update, "003A", "Third"));
    let claim = upwrite_event_log::Claim { table: table(), key: upwrite_event_log::ClaimKey("id=003A".into()) };
    let version = VersionCheck { table: table(), key: "003A".into(), version: Some(1) };
    let submission = Submission { claims: vec![claim], versions: vec![version], request };
    match deployment.log.submit(submission.clone()).await.unwrap() {
        Submitted::Claimed { by, .. } => assert_eq!(by, open),
        other => panic!("{other:?}"),
    }
    // An applier takes over and settles; the old owner's word does not count.
    deployment.outcome(open_at, deployment.applied(open, vec![applied_row("003A", None, None, (7, 8))])).await;
    deployment.owner = OwnerId(uuid::Uuid::now_v7());
    let taken = PartitionTaken { owner: deployment.owner, process: "test".into(), lease_ms: 1 };
    deployment.outcome(open_at, Event::PartitionTaken(taken)).await;
    let rows = vec![applied_row("003A", Some(image("003A", "Grace", "1")), Some("0009"), (9, 10))];
    let settled =
        MutationSettled { mutation: open, owner: deployment.owner, applied: vec![0], not_applied: vec![], rows };
    deployment.outcome(open_at, Event::MutationSettled(settled)).await;
    let sql = format!("select true from upwrite.mutations where id = '{open}' and state = 'applied' and released");
    deployment.wait::<bool>("the end", &sql).await;
    assert_eq!(deployment.claims(open).await, 0);
    let stale = deployment.log.submit(submission).await.unwrap();
    assert!(matches!(stale, Submitted::Stale), "the row was written: {stale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_truncated_log_is_refused_and_recovered() {
    let mut deployment = TestDeployment::start().await;
    let (first, at) = deployment.submit(change(Op::Update, "003A", "Ada")).await;
    let keep = deployment.log.end(at).await.unwrap();
    applied(&deployment, first, at, "003A", 1).await;
    // The same record: the same partition. One finished and one unfinished that the log will not know.
    let (second, second_at) = deployment.submit(change(Op::Update, "003A", "Ada")).await;
    applied(&deployment, second, second_at, "003A", 3).await;
    let (third, _) = deployment.submit(change(Op::Update, "003A", "Ada")).await;
    deployment.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{third}'")).await;
    deployment.stop().await;
    let sql = format!(
        "delete from upwrite.log where stream = 'mutations' and partition = {0} and position >= {1};
         update upwrite.log_partitions set next_position = {1} where stream = 'mutations' and partition = {0}",
        at.number, keep.0
    );
    deployment.admin.execute(AssertSqlSafe(sql)).await.unwrap();
    deployment.log = deployment.another_log().await;
    assert!(matches!(rebuild(&deployment).table(&table()).await, Err(RebuildError::Refused(_))));
    assert!(matches!(rebuild(&deployment).projections().await, Err(RebuildError::Refused(_))));
    let row: Option<String> = deployment.value("select name from crm.contact where id = '003A'").await;

    let report = recover(&deployment).await;
    assert_eq!((report.positions_set, report.in_doubt, report.lost, report.claims), (1, 1, 1, 1), "{report:?}");
    assert_eq!(folded(&deployment, first, at).await.phase, Phase::InDoubt);
    assert_eq!(
        deployment.value::<String>("select name from crm.contact where id = '003A'").await,
        row,
        "never backwards"
    );
    deployment.run();
    let state = async |mutation: MutationId, state: &str| {
        let sql = format!(
            "select true from upwrite.mutations where id = '{mutation}' and state = '{state}' and finished_at is not null"
        );
        deployment.wait::<bool>(state, &sql).await;
    };
    state(first, "in_doubt").await;
    state(second, "applied").await;
    state(third, "in_doubt").await;
    assert_eq!((deployment.claims(first).await, deployment.claims(third).await), (1, 0));
    // Writing works again.
    let (next, next_at) = deployment.submit(change(Op::Update, "003B", "B")).await;
    deployment.owner = OwnerId(uuid::Uuid::now_v7());
    let taken = PartitionTaken { owner: deployment.owner, process: "test".into(), lease_ms: 1 };
    deployment.outcome(next_at, Event::PartitionTaken(taken)).await;
    applied(&deployment, next, next_at, "003B", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_while_the_gate_is_closed() {
    let deployment = TestDeployment::start().await;
    deployment.admin.execute("update upwrite.deployment set recovery_barrier = 'closed by a test'").await.unwrap();
    let claim = upwrite_event_log::Claim { table: table(), key: upwrite_event_log::ClaimKey("id=003A".into()) };
    let request = request(MutationId(uuid::Uuid::now_v7()), change(Op::Update, "003A", "Ada"));
    let submission = Submission { claims: vec![claim], versions: vec![], request };
    match deployment.log.submit(submission.clone()).await {
        Err(LogError::NotAppended(reason)) => assert!(reason.contains("closed by a test"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.claims").await, Some(0));
    // Killed in the middle: the barrier is as it was left, and a run to the end lifts it.
    recover(&deployment).await;
    assert!(matches!(deployment.log.submit(submission).await.unwrap(), Submitted::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_killed_anywhere_is_run_again() {
    let mut deployment = TestDeployment::start().await;
    let (first, at) = deployment.submit(insert()).await;
    applied(&deployment, first, at, "003A", 1).await;
    let (open, open_at) = deployment.submit(change(Op::Update, "003A", "Grace")).await;
    deployment.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
    deployment.stop().await;
    for steps in (0..24).step_by(2) {
        let (teller, mut told) = tokio::sync::mpsc::channel(64);
        let rebuild = Rebuild::new(deployment.reconciler.clone(), deployment.log.clone(), Some(teller));
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
        match rebuild(&deployment).recover(&Binding::default()).await {
            Ok(report) => break report,
            Err(RebuildError::Database { source: sqlx::Error::Database(error), .. })
                if error.code().as_deref() == Some("55P03") => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((report.in_doubt, report.claims, report.lost), (0, 1, 0), "marked by one of those before: {report:?}");
    assert_eq!(deployment.value::<String>("select recovery_barrier from upwrite.deployment").await, None);
    assert_eq!(folded(&deployment, open, open_at).await.phase, Phase::InDoubt);
    let doubts: i64 =
        deployment.value("select count(*) from upwrite.log where event = 'MutationInDoubt'").await.unwrap();
    assert_eq!(doubts, 1);
    deployment.run();
    assert_eq!(deployment.finished(open).await, "in_doubt");
}
