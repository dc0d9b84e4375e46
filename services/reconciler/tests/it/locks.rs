//! Somebody's lock, or somebody's constraint, keeps out one row; the rest go on.

use upwrite_events::*;

use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn a10_a_locked_row_is_parked_and_written_when_the_lock_is_gone() {
    let deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01"), seen_row("003B", "b", "2026-01-01")]).await;
    let lock = deployment.lock("select from crm.contact where id = '003A' for update").await;
    let (locked, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let row = applied_row("003A", Some(image("003A", "a2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(locked, vec![row])).await;
    let (free, partition) = deployment.submit(change(Op::Update, "003B", "b2")).await;
    let row = applied_row("003B", Some(image("003B", "b2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(free, vec![row])).await;
    assert_eq!(deployment.finished(free).await, "applied");
    let sql = format!("select mutation::text from upwrite.parked where mutation = '{locked}'");
    deployment.wait::<String>("the parked image", &sql).await;
    let state = format!("select state from upwrite.mutations where id = '{locked}' and finished_at is null");
    assert_eq!(
        deployment.value::<String>(&state).await.as_deref(),
        Some("applied"),
        "not told before the row shows it"
    );
    assert_eq!(deployment.claims(locked).await, 1, "claimed until the row is written");
    lock.rollback().await.unwrap();
    assert_eq!(deployment.finished(locked).await, "applied");
    let name: String = deployment.value("select name from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(name, "a2");
    assert_eq!(deployment.claims(locked).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_a_parked_image_survives_a_restart() {
    let mut deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;
    let lock = deployment.lock("select from crm.contact where id = '003A' for update").await;
    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let row = applied_row("003A", Some(image("003A", "a2", "1")), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    deployment.wait::<String>("the parked image", "select key from upwrite.parked").await;
    deployment.stop().await;
    deployment.run();
    lock.rollback().await.unwrap();
    assert_eq!(deployment.finished(mutation).await, "applied");
    let name: String = deployment.value("select name from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(name, "a2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_a_locked_table_is_parked_whole() {
    let deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;
    let lock = deployment.lock("lock table crm.contact in share mode").await;
    deployment.observe((3, 4), vec![seen_row("003A", "a2", "2026-01-02"), seen_row("003B", "b", "2026-01-02")]).await;
    let parked: i64 = deployment.value("select count(*) from upwrite.parked").await.unwrap();
    assert_eq!(parked, 2);
    lock.rollback().await.unwrap();
    let name: String = deployment.wait("the row", "select name from crm.contact where id = '003B'").await;
    assert_eq!(name, "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_a_constraint_of_the_users_own_is_a_reported_conflict() {
    let deployment = TestDeployment::start().await;
    deployment.lock("create unique index on crm.contact (lower(name)) where n > 0").await.commit().await.unwrap();
    deployment
        .observe(
            (1, 2),
            vec![
                seen_row("003A", "same", "2026-01-01"),
                seen_row("003B", "SAME", "2026-01-01"),
                seen_row("003C", "c", "2026-01-01"),
            ],
        )
        .await;
    let keys: Vec<String> = deployment.value("select array_agg(id order by id) from crm.contact").await.unwrap();
    assert_eq!(keys, ["003A", "003C"]);
    let conflict: String = deployment.value("select sqlstate || ' ' || key from upwrite.conflicts").await.unwrap();
    assert_eq!(conflict, "23505 003B");
}
