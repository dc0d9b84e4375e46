//! Rows on their way to the records' topics.

use sqlx::Row as _;
use upwrite_events::*;
use upwrite_reconciler::Config;

use crate::deployment::*;
use crate::member::{Member, quick};

/// Table, key, version, vendor's version, image, mutation.
type InOutbox = (String, String, i64, Option<String>, Option<serde_json::Value>, Option<uuid::Uuid>);

#[tokio::test(flavor = "multi_thread")]
async fn every_row_written_or_deleted_is_in_the_outbox_as_the_table_has_it() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let mut member = Member::start(&deployment, Config { outbox: true, ..quick() });
    member.assign([0, 1]).await;
    let mut first = seen_row("003A", "O'Hara", "2026-01-01");
    first.image.as_mut().unwrap().insert("flag".into(), Some("true".into()));
    deployment.observe((1, 2), vec![first, seen_row("003B", "b", "2026-01-01")]).await;
    // Older: nothing is written.
    deployment.observe((1, 2), vec![seen_row("003B", "older", "2025-01-01")]).await;
    let (mutation, partition) = deployment.submit(change(Op::Update, "003A", "a2")).await;
    let part: Row = [("name".to_owned(), Some("a2".to_owned()))].into();
    let row = applied_row("003A", Some(part), Some("2026-01-02"), (10, 20));
    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
    assert_eq!(deployment.finished(mutation).await, "applied");
    let (deleted, partition) = deployment.submit(change(Op::Delete, "003A", "")).await;
    deployment.outcome(partition, deployment.applied(deleted, vec![applied_row("003A", None, None, (30, 40))])).await;
    assert_eq!(deployment.finished(deleted).await, "applied");
    // Nothing was there.
    let gone = ObservedRow { key: "003Z".into(), image: None, vendor_version: None };
    deployment.observe((50, 60), vec![gone]).await;
    // Upstream took it out of its recycle bin.
    deployment.observe((70, 80), vec![seen_row("003A", "back", "2026-01-03")]).await;

    let sql = "select source || '.' || table_name, key, version, vendor_version, image, mutation from upwrite.outbox order by id";
    let rows = sqlx::query(sql).fetch_all(&deployment.admin).await.unwrap();
    let rows: Vec<InOutbox> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5))).collect();
    let table = || "crm.contact".to_owned();
    let image = |id: &str, name: &str, flag: Option<&str>| {
        serde_json::json!({
            "id": id, "name": name, "n": "1.00", "tags": "{a,\"b c\"}", "stamp": null, "upwrite_key": null, "flag": flag,
        })
    };
    let version = |text: &str| Some(text.to_owned());
    let expected = vec![
        (table(), "003A".into(), 1, version("2026-01-01"), Some(image("003A", "O'Hara", Some("t"))), None),
        (table(), "003B".into(), 1, version("2026-01-01"), Some(image("003B", "b", None)), None),
        (table(), "003A".into(), 2, version("2026-01-02"), Some(image("003A", "a2", Some("t"))), Some(mutation.0)),
        (table(), "003A".into(), 3, None, None, Some(deleted.0)),
        (table(), "003A".into(), 4, version("2026-01-03"), Some(image("003A", "back", None)), None),
    ];
    assert_eq!(rows, expected);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_parked_is_in_the_outbox_once_it_is_written() {
    let deployment = TestDeployment::without_reconciler(2).await;
    let mut member = Member::start(&deployment, Config { outbox: true, ..quick() });
    member.assign([0, 1]).await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;
    let lock = deployment.lock("select from crm.contact where id = '003A' for update").await;
    deployment.observe((3, 4), vec![seen_row("003A", "a2", "2026-01-02")]).await;
    let versions = "select array_agg(version order by id) from upwrite.outbox";
    assert_eq!(deployment.value::<Vec<i64>>(versions).await, Some(vec![1]));
    lock.rollback().await.unwrap();
    deployment.wait::<String>("the row", "select id from crm.contact where name = 'a2'").await;
    assert_eq!(deployment.value::<Vec<i64>>(versions).await, Some(vec![1, 2]));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_outbox_nothing_goes_there() {
    let deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "a", "2026-01-01")]).await;
    assert_eq!(deployment.value::<i64>("select count(*) from upwrite.outbox").await, Some(0));
}
