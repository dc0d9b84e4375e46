//! Exactly once: a batch that did not commit did not happen, and one that did does not happen again.

use upwrite_events::*;

use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_insert_becomes_the_row_the_status_and_free_claims_at_once() {
    let deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(insert()).await;
    let row = applied_row("003A", Some(image("003A", "Ada", "7.5")), Some("2026-01-01"), (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    let text: String = deployment.value("select (id, name, n, tags, _version)::text from crm.contact").await.unwrap();
    assert_eq!(text, "(003A,Ada,7.50,\"{a,\"\"b c\"\"}\",1)");
    let keys: Vec<String> = deployment.value("select keys from upwrite.mutations").await.unwrap();
    assert_eq!(keys, ["003A"]);
    assert_eq!(deployment.claims(mutation).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b20_outcomes_twice_and_foreign_events_stop_nothing() {
    let deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(insert()).await;
    let applied =
        deployment.applied(mutation, vec![applied_row("003A", Some(image("003A", "Ada", "1")), None, (1, 2))]);
    let stranger = MutationId(uuid::Uuid::now_v7());
    deployment.outcome(partition, deployment.applied(stranger, vec![])).await;
    deployment.outcome(partition, applied.clone()).await;
    deployment.outcome(partition, applied).await;
    let (next, partition) = deployment.submit(insert()).await;
    deployment
        .outcome(
            partition,
            deployment.applied(next, vec![applied_row("003B", Some(image("003B", "B", "1")), None, (3, 4))]),
        )
        .await;
    assert_eq!(deployment.finished(next).await, "applied");
    assert_eq!(deployment.finished(mutation).await, "applied");
    let version: i64 = deployment.value("select _version from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(version, 1, "the repeat was written again");
    let reason: String = deployment.wait("the dead letter", "select reason from upwrite.dead_letters").await;
    assert!(reason.contains("does not know"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_a_restart_goes_on_with_what_was_unfinished() {
    let mut deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "new")).await;
    let sql = format!("select state from upwrite.mutations where id = '{mutation}'");
    assert_eq!(deployment.wait::<String>("the request's row", &sql).await, "requested");
    deployment.stop().await;
    // The image could not be read back: it is made from the request, which only the log has.
    deployment.outcome(partition, deployment.applied(mutation, vec![applied_row("003A", None, None, (1, 2))])).await;
    deployment.run();
    assert_eq!(deployment.finished(mutation).await, "applied");
    let name: String = deployment.value("select name from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(name, "new");
    let asked: String = deployment.value("select key from upwrite.rereads").await.unwrap();
    assert_eq!(asked, "003A", "a stand-in image is to be read by id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_before_its_request_frees_the_claims() {
    let deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(insert()).await;
    let void = |mutation| Event::MutationVoided(MutationVoided { mutation, reason: "test".into() });
    // After the request a void changes nothing.
    deployment.outcome(partition, void(mutation)).await;
    let early = MutationId(uuid::Uuid::now_v7());
    let claim = format!(
        "insert into upwrite.claims (source, table_name, key, mutation) values ('crm', 'contact', 'id=x', '{early}')"
    );
    deployment.lock(&claim).await.commit().await.unwrap();
    deployment.outcome(partition, void(early)).await;
    assert_eq!(deployment.finished(early).await, "voided");
    assert_eq!(deployment.claims(early).await, 0);
    assert_eq!(deployment.claims(mutation).await, 1);
}
