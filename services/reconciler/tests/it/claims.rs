//! Claims: kept while a late effect is possible, made early for a record whose create is not finished.

use upwrite_events::*;

use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn b10_a_created_record_that_is_seen_first_belongs_to_its_create() {
    let deployment = TestDeployment::start().await;
    let (mutation, _) = deployment.submit(insert()).await;
    let mut row = seen_row("003A", "Ada", "2026-01-01");
    let key = Some(mutation.idempotency_key(0));
    row.image.as_mut().unwrap().insert("upwrite_key".into(), key);
    deployment.wait::<String>("the request's row", "select state from upwrite.mutations").await;
    deployment.observe((1, 2), vec![row]).await;
    let owner: String = deployment
        .value("select mutation::text from upwrite.claims where key = 'id=003A'")
        .await
        .expect("the real id is not claimed");
    assert_eq!(owner, mutation.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_claims_outlive_the_verdict_until_settled() {
    let deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let rows = vec![applied_row("003A", Some(image("003A", "a2", "1")), Some("2026-01-02"), (10, 20))];
    let applied = MutationApplied { mutation, owner: deployment.owner, attempt: 2, rows, keep_claims: true };
    deployment.outcome(partition, Event::MutationApplied(applied)).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    assert_eq!(deployment.claims(mutation).await, 1);
    let rows = vec![applied_row("003A", Some(image("003A", "a2", "2")), Some("2026-01-02"), (30, 40))];
    let settled = MutationSettled { mutation, owner: deployment.owner, applied: vec![], not_applied: vec![], rows };
    deployment.outcome(partition, Event::MutationSettled(settled)).await;
    let sql = format!("select state from upwrite.mutations where id = '{mutation}' and settled_at is not null");
    deployment.wait::<String>("the end of the claims", &sql).await;
    assert_eq!(deployment.claims(mutation).await, 0);
    let n: String = deployment.value("select n::text from crm.contact").await.unwrap();
    assert_eq!(n, "2.00", "what was read back is merged");
}

/// The claims of a create do not cover its real id: others may change the record before the create is settled, and after it
/// was read for that.
#[tokio::test(flavor = "multi_thread")]
async fn b1_what_a_create_is_settled_with_does_not_undo_what_came_after_it() {
    let deployment = TestDeployment::start().await;
    for (key, read) in [("003A", (30, 35)), ("003B", (38, 45))] {
        let (create, partition) = deployment.submit(insert()).await;
        let rows = vec![applied_row(key, Some(image(key, "Ada", "1")), Some("2026-01-01"), (10, 20))];
        let applied =
            MutationApplied { mutation: create, owner: deployment.owner, attempt: 2, rows, keep_claims: true };
        deployment.outcome(partition, Event::MutationApplied(applied)).await;
        assert_eq!(deployment.finished(create).await, "applied");
        let (delete, home) = deployment.submit(change(Op::Delete, key, "")).await;
        deployment.outcome(home, deployment.applied(delete, vec![applied_row(key, None, None, (40, 50))])).await;
        assert_eq!(deployment.finished(delete).await, "applied");
        let rows = vec![applied_row(key, Some(image(key, "Ada", "1")), Some("2026-01-01"), read)];
        let settled =
            MutationSettled { mutation: create, owner: deployment.owner, applied: vec![], not_applied: vec![], rows };
        deployment.outcome(partition, Event::MutationSettled(settled)).await;
        let sql = format!("select state from upwrite.mutations where id = '{create}' and settled_at is not null");
        deployment.wait::<String>("the end of the claims", &sql).await;
    }
    assert_eq!(deployment.value::<i64>("select count(*) from crm.contact").await, Some(0), "deleted upstream");
    let asked = deployment.value::<Vec<String>>("select array_agg(key) from upwrite.rereads").await;
    assert_eq!(asked, Some(vec!["003B".to_owned()]), "where nobody can tell which came first");
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_an_ousted_owners_outcome_is_no_verdict() {
    let deployment = TestDeployment::start().await;
    let (mutation, partition) = deployment.submit(insert()).await;
    let new_owner = OwnerId(uuid::Uuid::now_v7());
    let taken = PartitionTaken { owner: new_owner, process: "b".into(), lease_ms: 1 };
    deployment.outcome(partition, Event::PartitionTaken(taken)).await;
    let row = applied_row("003A", Some(image("003A", "old owner", "1")), None, (1, 2));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    let rows = vec![applied_row("003A", Some(image("003A", "new owner", "1")), None, (3, 4))];
    let applied = MutationApplied { mutation, owner: new_owner, attempt: 1, rows, keep_claims: false };
    deployment.outcome(partition, Event::MutationApplied(applied)).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    let name: String = deployment.value("select name from crm.contact").await.unwrap();
    assert_eq!(name, "new owner");
    let version: i64 = deployment.value("select _version from crm.contact").await.unwrap();
    assert_eq!(version, 1);
}

/// The other half of B10: the claim is added while the mutation's claims are being released, and is not yet to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn b10_a_release_takes_the_claim_that_is_just_being_added_with_it() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let (mutation, _) = deployment.submit(insert()).await;
    let adds = format!(
        "with held as materialized (select partition from upwrite.claims where mutation = '{mutation}' for key share)
         insert into upwrite.claims (source, table_name, key, mutation, partition)
         select 'crm', 'contact', 'id=003A', '{mutation}', partition from held"
    );
    let adding = deployment.lock(&adds).await;
    let (admin, sql) = (deployment.admin.clone(), format!("select upwrite.release_claims(array['{mutation}'::uuid])"));
    let release = tokio::spawn(async move { sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&admin).await });
    let waits = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    deployment.wait::<i32>("the release to wait", waits).await;
    adding.commit().await.unwrap();
    release.await.unwrap().unwrap();
    assert_eq!(deployment.claims(mutation).await, 0);
}
