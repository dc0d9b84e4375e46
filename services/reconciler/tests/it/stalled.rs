//! A reconciler that stalls with its transaction open, and the one that has taken over (B19).

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use upwrite_event_log::MembershipEvent;
use upwrite_events::*;
use upwrite_reconciler::Config;

use crate::deployment::*;
use crate::member::{Member, quick};
use crate::relay::Relay;

const STALLED: &str = "select pid from pg_stat_activity where datname = current_database()
    and application_name = 'upwrite reconciler' and state = 'idle in transaction'";

struct Stalled {
    deployment: TestDeployment,
    relay: Relay,
    member: Member,
    mutation: MutationId,
    pid: i32,
}

/// A reconciler whose transaction has locked what it is about to write, and that says nothing more.
async fn stalled(session_timeout: Duration) -> Stalled {
    let deployment = TestDeployment::without_reconciler(2).await;
    let relay = Relay::start(deployment.reconciler.get_host().to_owned(), deployment.reconciler.get_port()).await;
    let options: PgConnectOptions = deployment.reconciler.clone().host("127.0.0.1").port(relay.address.port());
    let config = Config { lock_timeout: LIMIT, session_timeout, ..quick() };
    let mut member = Member::with(&deployment, config, options, deployment.log.clone());
    member.assign([0, 1]).await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;

    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let requested = format!("select state from upwrite.mutations where id = '{mutation}'");
    assert_eq!(deployment.wait::<String>("the request", &requested).await, "requested");
    let lock = deployment.lock("lock table upwrite.records in access exclusive mode").await;
    let row = applied_row("003A", Some(image("003A", "a2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    let waits = "select pid from pg_stat_activity where datname = current_database()
        and application_name = 'upwrite reconciler' and wait_event_type = 'Lock'";
    deployment.wait::<i32>("the reconciler in its transaction", waits).await;
    relay.freeze();
    lock.rollback().await.unwrap();
    let pid = deployment.wait::<i32>("the transaction that stalls", STALLED).await;
    Stalled { deployment, relay, member, mutation, pid }
}

/// The session, if it is still in its transaction.
async fn still(deployment: &TestDeployment, pid: i32) -> Option<i32> {
    deployment
        .value(&format!("select pid from pg_stat_activity where pid = {pid} and state = 'idle in transaction'"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn b19_a_stalled_reconcilers_session_is_ended_and_its_successor_writes() {
    let Stalled { deployment, relay, member, mutation, pid } = stalled(Duration::from_secs(2)).await;
    let mut successor = Member::start(&deployment, quick());
    successor.assign([0, 1]).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    assert_eq!(still(&deployment, pid).await, None, "whoever wrote it waited for the stalled one's locks");
    member.send([MembershipEvent::Lost(0), MembershipEvent::Lost(1)]);
    relay.thaw();
    let version: i64 = deployment.value("select _version from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(version, 2, "written once by the observation and once by the mutation");
    successor.stop().await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b19_a_reconciler_that_lost_its_partitions_in_mid_write_cannot_commit() {
    let Stalled { deployment, relay, member, mutation, pid } = stalled(LIMIT).await;
    let mut successor = Member::start(&deployment, quick());
    successor.assign([0, 1]).await;
    deployment
        .wait::<i64>(
            "the position past the mutation",
            "select max(next_position) from upwrite.positions where stream = 'mutations' having max(next_position) = 3",
        )
        .await;
    // Other records do not wait for it.
    let (other, partition) = deployment.submit(change(Op::Update, "003B", "b2")).await;
    let row = applied_row("003B", Some(image("003B", "b2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(other, vec![row])).await;
    assert_eq!(deployment.finished(other).await, "applied");
    assert_eq!(still(&deployment, pid).await, Some(pid), "it stands in its transaction all the while");
    relay.thaw();
    // It goes on with its transaction, is refused, and begins again, since nobody has told it.
    deployment
        .wait::<i64>("the ousted one's new session", "select epoch from upwrite.positions where epoch > 2 limit 1")
        .await;
    member.send([MembershipEvent::Lost(0), MembershipEvent::Lost(1)]);
    assert_eq!(deployment.finished(mutation).await, "applied");
    let version: i64 = deployment.value("select _version from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(version, 2, "each of the two wrote it");
    // The successor was ousted in its turn, and goes on.
    let (next, partition) = deployment.submit(change(Op::Update, "003A", "a3")).await;
    let row = applied_row("003A", Some(image("003A", "a3", "1")), Some("2026-01-03"), (30, 40));
    deployment.outcome(partition, deployment.applied(next, vec![row])).await;
    assert_eq!(deployment.finished(next).await, "applied");
    member.stop().await;
    successor.stop().await;
}
