//! What is right is not touched.

use upwrite_events::*;

use super::history::{Dice, make};
use super::{rebuild, rebuild_table, rows};
use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_what_is_right_changes_nothing() {
    for seed in [1, 2] {
        let deployment = TestDeployment::start().await;
        make(&deployment, &mut Dice::new(seed), 120).await;
        // One that is not finished.
        let (open, _) = deployment.submit(insert()).await;
        deployment.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
        let tables = ["crm.contact", "upwrite.records", "upwrite.mutations", "upwrite.claims"];
        let mut before = Vec::new();
        for of in tables {
            before.push(rows(&deployment, of).await);
        }
        assert!(before[0].len() > 5, "a history that leaves rows");
        let report = rebuild_table(&deployment).await;
        assert!(!report.changed(), "seed {seed}: {report:?}");
        assert!(report.log_is_complete && report.equal == report.rows && report.events > 100, "{report:?}");
        assert_eq!(report.rows, before[0].len() as u64);
        let projections = rebuild(&deployment).projections().await.unwrap();
        let mutations = &projections.mutations;
        assert_eq!((mutations.mended, mutations.inserted, mutations.deleted, mutations.owners), (0, 0, 0, 0));
        assert!(projections.records.iter().all(|(_, records)| !records.changed()), "{projections:?}");
        assert_eq!(mutations.mutations, before[2].len() as u64);
        for (of, before) in tables.iter().zip(before) {
            assert_eq!(rows(&deployment, of).await, before, "seed {seed}: {of}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_refused_stays_refused() {
    let deployment = TestDeployment::start().await;
    let bad = |key: &str| {
        let mut row = seen_row(key, "Bad", "1");
        row.image.as_mut().unwrap().insert("n".into(), Some("no number".into()));
        row
    };
    let good: Vec<ObservedRow> = (0..20).map(|n| seen_row(&format!("003{n}"), "Good", "1")).collect();
    deployment.observe((1, 2), good).await;
    deployment.observe((3, 4), vec![seen_row("003A", "Ada", "1"), bad("003B"), bad("0031")]).await;
    let before = rows(&deployment, "crm.contact").await;
    assert_eq!(before.len(), 21);
    let report = rebuild_table(&deployment).await;
    assert_eq!((report.changed(), report.refused, report.rows), (false, 2, 21), "{report:?}");
    assert_eq!(rows(&deployment, "crm.contact").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_image_is_left_to_the_reconciler() {
    let deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "Ada", "1")]).await;
    let lock = deployment.lock("select 1 from crm.contact where id = '003A' for update").await;
    deployment.observe((3, 4), vec![seen_row("003A", "Grace", "2")]).await;
    deployment.wait::<i64>("a parked image", "select id from upwrite.parked limit 1").await;
    let report = rebuild_table(&deployment).await;
    assert_eq!((report.changed(), report.waiting), (false, 1), "{report:?}");
    lock.rollback().await.unwrap();
    deployment.wait::<bool>("the image", "select true from crm.contact where name = 'Grace'").await;
    assert!(!rebuild_table(&deployment).await.changed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_came_later_is_filled_from_the_images_that_speak_of_it() {
    let deployment = TestDeployment::start().await;
    let partial = |key: &str, n: Option<&str>, version: &str| {
        let mut row = seen_row(key, "Ada", version);
        let image = row.image.as_mut().unwrap();
        image.remove("tags");
        match n {
            Some(n) => image.insert("n".into(), Some(n.into())),
            None => image.remove("n"),
        };
        row
    };
    deployment.observe((1, 2), vec![seen_row("003A", "Ada", "1"), partial("003B", None, "1")]).await;
    deployment.observe((3, 4), vec![partial("003A", None, "2"), partial("003B", Some("9"), "2")]).await;
    deployment.observe((5, 6), vec![partial("003A", Some("8"), "3")]).await;
    let before = rows(&deployment, "crm.contact").await;
    assert!(!rebuild_table(&deployment).await.changed());
    let sql = "update crm.contact set n = 0, tags = '{wrong}'";
    super::damage(&deployment, sql).await;
    assert_eq!(rebuild_table(&deployment).await.mended, 2);
    let n: Vec<String> = deployment.value("select array_agg(n::text order by id) from crm.contact").await.unwrap();
    assert_eq!(n, ["8.00", "9.00"]);
    let tags: String = deployment.value("select tags::text from crm.contact where id = '003A'").await.unwrap();
    assert_eq!(tags, "{a,\"b c\"}", "from the first image: {before:?}");
}
