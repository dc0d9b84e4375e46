//! Never backwards.

use upwrite_events::*;

use crate::deployment::*;
use crate::rebuild::damage;

async fn name_of(deployment: &TestDeployment) -> Option<String> {
    deployment.value("select name from crm.contact where id = '003A'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_observation_changes_nothing() {
    let deployment = TestDeployment::start().await;
    deployment.observe((10, 20), vec![seen_row("003A", "second", "2026-01-02")]).await;
    deployment.observe((30, 40), vec![seen_row("003A", "first", "2026-01-01")]).await;
    assert_eq!(name_of(&deployment).await.as_deref(), Some("second"));
    // The same version, by a read that began before the other had ended.
    deployment.observe((15, 25), vec![seen_row("003A", "overlapping", "2026-01-02")]).await;
    assert_eq!(name_of(&deployment).await.as_deref(), Some("second"));
    let asked: String = deployment.value("select key from upwrite.rereads").await.unwrap();
    assert_eq!(asked, "003A");
}

#[tokio::test(flavor = "multi_thread")]
async fn b14_a_formula_that_changed_with_an_equal_version_arrives() {
    let deployment = TestDeployment::start().await;
    deployment.observe((10, 20), vec![seen_row("003A", "before", "2026-01-02")]).await;
    deployment.observe((20, 30), vec![seen_row("003A", "after", "2026-01-02")]).await;
    assert_eq!(name_of(&deployment).await.as_deref(), Some("after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_stays_deleted_for_reads_that_began_before() {
    let deployment = TestDeployment::start().await;
    deployment.observe((10, 20), vec![seen_row("003A", "there", "2026-01-01")]).await;
    let (mutation, partition) = deployment.submit(change(Op::Delete, "003A", "")).await;
    deployment
        .outcome(partition, deployment.applied(mutation, vec![applied_row("003A", None, None, (100, 110))]))
        .await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    assert_eq!(name_of(&deployment).await, None);
    deployment.observe((90, 105), vec![seen_row("003A", "late page", "2026-01-01")]).await;
    assert_eq!(name_of(&deployment).await, None);
    deployment.observe((110, 120), vec![seen_row("003A", "undeleted", "2026-01-03")]).await;
    assert_eq!(name_of(&deployment).await.as_deref(), Some("undeleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_of_one_observation_are_merged_set_wise() {
    let deployment = TestDeployment::start().await;
    let rows = (0..1000).map(|n| seen_row(&format!("{n:05}"), "x", "2026-01-01")).collect();
    deployment.observe((10, 20), rows).await;
    let count: i64 = deployment.value("select count(*) from crm.contact where n = 1").await.unwrap();
    assert_eq!(count, 1000);
}

/// A create believes that its row is new. It may be there all the same, if what was known of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_row_is_there_already_writes_it() {
    let deployment = TestDeployment::start().await;
    damage(&deployment, "insert into crm.contact (id, name, _version) values ('003A', 'nobody knows', 4)").await;
    let (mutation, partition) = deployment.submit(insert()).await;
    let row = applied_row("003A", Some(image("003A", "Ada", "1")), Some("2026-01-01"), (1, 2));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    let found =
        deployment.value::<String>("select format('%s %s', name, _version) from crm.contact where id = '003A'").await;
    assert_eq!(found.as_deref(), Some("Ada 5"));
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.conflicts").await, Some(0));
}
