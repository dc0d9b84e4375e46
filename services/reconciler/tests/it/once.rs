//! Exactly once: a batch that did not commit did not happen, and one that did does not happen again.

use upwrite_events::*;

use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_insert_becomes_the_row_the_status_and_free_claims_at_once() {
    let world = World::start().await;
    let (mutation, partition) = world.submit(insert()).await;
    let row = applied_row("003A", Some(image("003A", "Ada", "7.5")), Some("2026-01-01"), (10, 20));
    world.outcome(partition, world.applied(mutation, vec![row])).await;
    assert_eq!(world.finished(mutation).await, "applied");
    let text: String = world.value("select (id, name, n, tags, _version)::text from crm.contact").await.unwrap();
    assert_eq!(text, "(003A,Ada,7.50,\"{a,\"\"b c\"\"}\",1)");
    let keys: Vec<String> = world.value("select keys from upwrite.mutations").await.unwrap();
    assert_eq!(keys, ["003A"]);
    assert_eq!(world.claims(mutation).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b20_outcomes_twice_and_foreign_events_stop_nothing() {
    let world = World::start().await;
    let (mutation, partition) = world.submit(insert()).await;
    let applied = world.applied(mutation, vec![applied_row("003A", Some(image("003A", "Ada", "1")), None, (1, 2))]);
    let stranger = MutationId(uuid::Uuid::now_v7());
    world.outcome(partition, world.applied(stranger, vec![])).await;
    world.outcome(partition, applied.clone()).await;
    world.outcome(partition, applied).await;
    let (next, partition) = world.submit(insert()).await;
    world
        .outcome(partition, world.applied(next, vec![applied_row("003B", Some(image("003B", "B", "1")), None, (3, 4))]))
        .await;
    assert_eq!(world.finished(next).await, "applied");
    assert_eq!(world.finished(mutation).await, "applied");
    let version: i64 = world.value("select _version from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(version, 1, "the repeat was written again");
    let reason: String = world.wait("the dead letter", "select reason from upwrite.dead_letters").await;
    assert!(reason.contains("does not know"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_a_restart_goes_on_with_what_was_unfinished() {
    let mut world = World::start().await;
    let (mutation, partition) = world.submit(change(Op::Update, "003A", "new")).await;
    let sql = format!("select state from upwrite.mutations where id = '{mutation}'");
    assert_eq!(world.wait::<String>("the request's row", &sql).await, "requested");
    world.stop().await;
    // The image could not be read back: it is made from the request, which only the log has.
    world.outcome(partition, world.applied(mutation, vec![applied_row("003A", None, None, (1, 2))])).await;
    world.run();
    assert_eq!(world.finished(mutation).await, "applied");
    let name: String = world.value("select name from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(name, "new");
    let asked: String = world.value("select key from upwrite.rereads").await.unwrap();
    assert_eq!(asked, "003A", "a stand-in image is to be read by id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_before_its_request_frees_the_claims() {
    let world = World::start().await;
    let (mutation, partition) = world.submit(insert()).await;
    let void = |mutation| Event::MutationVoided(MutationVoided { mutation, reason: "test".into() });
    // After the request a void changes nothing.
    world.outcome(partition, void(mutation)).await;
    let early = MutationId(uuid::Uuid::now_v7());
    let claim = format!(
        "insert into upwrite.claims (source, table_name, key, mutation) values ('crm', 'contact', 'id=x', '{early}')"
    );
    world.lock(&claim).await.commit().await.unwrap();
    world.outcome(partition, void(early)).await;
    assert_eq!(world.finished(early).await, "voided");
    assert_eq!(world.claims(early).await, 0);
    assert_eq!(world.claims(mutation).await, 1);
}
