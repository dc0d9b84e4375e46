//! Several reconcilers share the partitions, and swap them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use upwrite_event_log::EventLog as _;
use upwrite_event_log::MembershipEvent;
use upwrite_events::*;

use crate::deployment::*;
use crate::member::{Member, quick};

const PARTITIONS: u16 = 4;
const WRITERS: usize = 6;
const WRITES: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn b15_an_image_that_was_parked_is_written_by_another_reconciler() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let mut first = Member::start(&deployment, quick());
    first.assign([0, 1]).await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;
    let lock = deployment.lock("select from crm.contact where id = '003A' for update").await;
    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let row = applied_row("003A", Some(image("003A", "a2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    let parked = "select stream || '/' || partition from upwrite.parked";
    assert_eq!(deployment.wait::<String>("the parked image", parked).await, partition.to_string());
    deployment.reached(partition, Position(2)).await;
    first.kill().await;

    // One that has another partition leaves it alone.
    let mut other = Member::start(&deployment, quick());
    other.assign([1 - partition.number]).await;
    let mut listener = sqlx::postgres::PgListener::connect_with(&deployment.admin).await.unwrap();
    listener.listen(upwrite_event_log::VERDICT_CHANNEL).await.unwrap();
    let mut second = Member::start(&deployment, quick());
    second.assign([partition.number]).await;
    second.until("the count of parked images", |progress| progress.partitions.iter().any(|p| p.parked == 1)).await;
    lock.rollback().await.unwrap();
    assert_eq!(deployment.finished(mutation).await, "applied");
    let told = async { while !listener.recv().await.unwrap().payload().contains(&mutation.to_string()) {} };
    tokio::time::timeout(LIMIT, told).await.expect("the client is not told");
    let name: String = deployment.value("select name from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(name, "a2");
    assert_eq!(deployment.claims(mutation).await, 0);
    second.until("no parked images", |progress| progress.partitions.iter().all(|p| p.parked == 0)).await;
    second.stop().await;
    other.stop().await;
}

/// Each writer changes its own record again and again; upstream's answers and what a sync sees come in between.
async fn write(deployment: Arc<TestDeployment>, writer: usize) {
    let key = format!("003W{writer}");
    for n in 0..WRITES {
        let name = format!("{writer}.{n}");
        let (mutation, partition) = deployment.submit(change(Op::Update, &key, &name)).await;
        let begun = 100 * i64::try_from(n).unwrap();
        let version = format!("{n:03}");
        let row = applied_row(&key, Some(image(&key, &name, "1")), Some(&version), (begun, begun + 10));
        deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
        assert_eq!(deployment.finished(mutation).await, "applied");
        let seen: Option<String> = deployment.value(&format!("select name from crm.contact where id = '{key}'")).await;
        assert_eq!(seen.as_deref(), Some(name.as_str()), "told before the row showed it");
        // Already known: nothing may change.
        let event = RecordsObserved {
            table: table(),
            kind: "incremental".into(),
            seen: Interval { begun_us: begun - 50, ended_us: begun },
            rows: vec![seen_row(&key, "older", &version)],
        };
        let observations = upwrite_event_log::partition_for(Stream::Observations, &table(), "", PARTITIONS);
        deployment.log.append(observations, vec![Event::RecordsObserved(event)]).await.unwrap();
    }
}

/// Hands a partition from one to another, now in good order, now not.
async fn swap(members: &mut [Member; 2], item: u16, to: usize, orderly: bool) {
    let from = 1 - to;
    if orderly {
        members[from].send([MembershipEvent::Recalled(item)]);
        assert_eq!(members[from].returned().await, item);
        members[to].send([MembershipEvent::Assigned(item)]);
    } else {
        // For a while both believe to have it.
        members[to].send([MembershipEvent::Assigned(item)]);
        members[from].send([MembershipEvent::Lost(item)]);
    }
    members[to]
        .until("the partition", |progress| progress.partitions.iter().any(|partition| partition.number == item))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reconcilers_swap_partitions_under_load_and_lose_and_repeat_nothing() {
    let deployment = Arc::new(TestDeployment::without_reconciler(PARTITIONS).await);
    let mut members = [Member::start(&deployment, quick()), Member::start(&deployment, quick())];
    members[0].assign(0..PARTITIONS).await;
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&deployment), writer))).collect();
    let written = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&written);
    let all = tokio::spawn(async move {
        for writer in writers {
            writer.await.unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    let mut has = [0; PARTITIONS as usize];
    let mut swaps: usize = 0;
    while !written.load(Ordering::SeqCst) && !all.is_finished() {
        let item = swaps * 7 % has.len();
        has[item] = 1 - has[item];
        swap(&mut members, u16::try_from(item).unwrap(), has[item], !swaps.is_multiple_of(3)).await;
        swaps += 1;
    }
    all.await.unwrap();
    assert!(swaps > 5, "only {swaps} swaps");
    let wrong: i64 = deployment
        .value(&format!(
            "select count(*) from generate_series(0, {WRITERS} - 1) w left join crm.contact c on c.id = '003W' || w
              where c.name is distinct from w || '.{}' or c._version is distinct from {WRITES}",
            WRITES - 1
        ))
        .await
        .unwrap();
    let rows: Vec<String> =
        deployment.value("select array_agg(format('%s %s %s', id, name, _version)) from crm.contact").await.unwrap();
    assert_eq!(wrong, 0, "each record was to be written {WRITES} times: {rows:?}");
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.claims").await, Some(0));
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.mutations where not released").await, Some(0));
    for member in members {
        member.stop().await;
    }
}
