//! Claims whose request never came, or came late (B6).

use std::time::Duration;

use tokio::time::timeout;
use upwrite_event_log::EventLog as _;
use upwrite_event_log::{MembershipEvent, VERDICT_CHANNEL};
use upwrite_events::*;
use upwrite_reconciler::Config;

use crate::deployment::*;
use crate::member::{Member, quick};

/// What a proxy does before its produce: a claim that is as old as `age`.
async fn claim(deployment: &TestDeployment, mutation: MutationId, key: &str, partition: u16, age: &str) {
    let sql = format!(
        "insert into upwrite.claims (source, table_name, key, mutation, partition, claimed_at)
         values ('crm', 'contact', 'id={key}', '{mutation}', {partition}, now() - interval '{age}')"
    );
    deployment.lock(&sql).await.commit().await.unwrap();
}

fn mutations(number: u16) -> Partition {
    Partition { stream: Stream::Mutations, number }
}

fn fresh() -> MutationId {
    MutationId(uuid::Uuid::now_v7())
}

async fn voids(deployment: &TestDeployment, mutation: MutationId) -> i64 {
    let sql = format!("select count(*) from upwrite.log where event = 'MutationVoided' and mutation = '{mutation}'");
    deployment.value(&sql).await.unwrap()
}

async fn state(deployment: &TestDeployment, mutation: MutationId) -> String {
    deployment.value(&format!("select state from upwrite.mutations where id = '{mutation}'")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_an_orphan_is_voided_and_its_late_request_does_nothing() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let (orphan, young, key) = (fresh(), fresh(), key_in(0, 2, 0));
    claim(&deployment, orphan, &key, 0, "2 minutes").await;
    claim(&deployment, young, "003Y", 0, "50 seconds").await;
    let mut news = deployment.log.notifier().subscribe();
    let mut member = Member::start(&deployment, quick());
    member.assign([0, 1]).await;
    assert_eq!(deployment.finished(orphan).await, "voided");
    assert_eq!(deployment.claims(orphan).await, 0);
    assert_eq!(deployment.claims(young).await, 1);
    assert_eq!((voids(&deployment, orphan).await, voids(&deployment, young).await), (1, 0));
    let told = async {
        loop {
            let notice = news.recv().await.unwrap();
            if *notice.channel == *VERDICT_CHANNEL && *notice.item == orphan.to_string() {
                return;
            }
        }
    };
    timeout(LIMIT, told).await.expect("the client that is held hears nothing");

    // The produce arrives after all, and its outcome; also in a process that has seen neither before.
    let request = request(orphan, change(Op::Update, &key, "late"));
    let position = deployment.log.append(mutations(0), vec![Event::MutationRequested(request.clone())]).await.unwrap();
    deployment.reached(mutations(0), position[0]).await;
    member.kill().await;
    let mut another = Member::start(&deployment, quick());
    another.assign([0, 1]).await;
    let row = applied_row(&key, Some(image(&key, "late", "1")), None, (1, 2));
    let events = vec![Event::MutationRequested(request), deployment.applied(orphan, vec![row])];
    let position = deployment.log.append(mutations(0), events).await.unwrap();
    deployment.reached(mutations(0), position[1]).await;
    assert_eq!(state(&deployment, orphan).await, "voided");
    assert_eq!(deployment.value::<i64>("select count(*) from crm.contact").await, Some(0));
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.dead_letters").await, Some(1), "the outcome");
    another.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_a_request_that_is_still_ahead_in_the_log_is_not_voided() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let void_after = Duration::from_millis(300);
    let config = Config { lock_timeout: LIMIT, session_timeout: LIMIT, void_after, ..quick() };
    let mut member = Member::start(&deployment, config);
    member.assign([0, 1]).await;
    for number in [0, 1] {
        deployment.reached(mutations(number), Position(0)).await;
    }
    // It cannot get past the request: that stays ahead of it, though its claim is old.
    let in_the_way = "select from upwrite.positions where stream = 'mutations' and partition = 0 for update";
    let in_the_way = deployment.lock(in_the_way).await;
    let (requested, key) = (fresh(), key_in(0, 2, 0));
    let event = Event::MutationRequested(request(requested, change(Op::Update, &key, "a")));
    deployment.log.append(mutations(0), vec![event]).await.unwrap();
    let waits = "select pid from pg_stat_activity where datname = current_database()
        and application_name = 'upwrite reconciler' and wait_event_type = 'Lock'";
    deployment.wait::<i32>("the reconciler to wait", waits).await;
    claim(&deployment, requested, &key, 0, "0 seconds").await;
    // An orphan of the other partition is found in the same round.
    let orphan = fresh();
    claim(&deployment, orphan, "003O", 1, "0 seconds").await;
    let void = format!("select position from upwrite.log where mutation = '{orphan}'");
    deployment.wait::<i64>("the void", &void).await;
    assert_eq!(voids(&deployment, requested).await, 0);
    in_the_way.rollback().await.unwrap();
    deployment
        .wait::<String>("the request", &format!("select state from upwrite.mutations where id = '{requested}'"))
        .await;
    assert_eq!(voids(&deployment, requested).await, 0);
    assert_eq!(state(&deployment, requested).await, "requested");
    assert_eq!(deployment.claims(requested).await, 1);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_whichever_of_request_and_void_stands_first_counts() {
    let deployment = TestDeployment::start().await;
    let void = |mutation| Event::MutationVoided(MutationVoided { mutation, reason: "test".into() });
    let (first, key) = (fresh(), key_in(0, 2, 0));
    claim(&deployment, first, &key, 0, "1 second").await;
    let requested = Event::MutationRequested(request(first, change(Op::Update, &key, "a")));
    let row = applied_row(&key, Some(image(&key, "a", "1")), None, (1, 2));
    let events = vec![requested, void(first), void(first), deployment.applied(first, vec![row]), void(first)];
    deployment.log.append(mutations(0), events).await.unwrap();
    assert_eq!(deployment.finished(first).await, "applied");

    let (late, key) = (fresh(), key_in(0, 2, 1));
    claim(&deployment, late, &key, 0, "1 second").await;
    let requested = Event::MutationRequested(request(late, change(Op::Update, &key, "a")));
    let events = vec![void(late), requested.clone(), void(late), requested];
    let positions = deployment.log.append(mutations(0), events).await.unwrap();
    deployment.reached(mutations(0), positions[3]).await;
    assert_eq!(deployment.finished(late).await, "voided");
    assert_eq!(deployment.claims(late).await, 0);
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.claims").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_only_the_partitions_reconciler_voids_and_it_forgets_in_the_end() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let (mine, foreign, unmarked) = (fresh(), fresh(), fresh());
    claim(&deployment, mine, "003A", 0, "2 minutes").await;
    claim(&deployment, foreign, "003B", 1, "2 minutes").await;
    let sql = format!("update upwrite.claims set partition = null where mutation = '{unmarked}'");
    claim(&deployment, unmarked, "003C", 0, "2 minutes").await;
    deployment.lock(&sql).await.commit().await.unwrap();
    let mut member = Member::start(&deployment, Config { void_retention: Duration::ZERO, ..quick() });
    member.assign([0]).await;
    let released = |mutation| format!("select state from upwrite.mutations where id = '{mutation}' and released");
    assert_eq!(deployment.wait::<String>("the end of the void", &released(mine)).await, "voided");
    assert_eq!((voids(&deployment, foreign).await, voids(&deployment, unmarked).await), (0, 0));
    member.assign([1]).await;
    assert_eq!(deployment.wait::<String>("the end of the void", &released(foreign)).await, "voided");
    assert_eq!((voids(&deployment, mine).await, deployment.claims(unmarked).await), (1, 1));
    member.send([MembershipEvent::Lost(0), MembershipEvent::Lost(1)]);
    member.stop().await;
}
