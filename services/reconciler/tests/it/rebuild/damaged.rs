//! What somebody damaged is mended.

use super::history::{Dice, make};
use super::{contents, damage, rebuild, rebuild_table, rows};
use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_are_mended() {
    let deployment = TestDeployment::start().await;
    make(&deployment, &mut Dice::new(3), 60).await;
    deployment.observe((90_000, 90_001), (0..6).map(|n| seen_row(&format!("004{n}"), "Ada", "1")).collect()).await;
    let before = contents(&deployment).await;
    let version: i64 = deployment.value("select _version from crm.contact where id = '0040'").await.unwrap();
    let records: Vec<String> =
        deployment.value("select array_agg(r::text order by key) from upwrite.records r").await.unwrap();
    let untouched = "(select * from crm.contact where id = '0043')";
    let untouched_before: String = deployment.value(&format!("select t::text from {untouched} t")).await.unwrap();
    damage(
        &deployment,
        "update crm.contact set name = 'Mallory' where id = '0040';
         delete from crm.contact where id = '0041';
         insert into crm.contact (id, name, _version) values ('bogus', 'Mallory', 1);
         update upwrite.records set seen_ended_us = 0, vendor_version = 'zzz' where key = '0042';
         delete from upwrite.records where key = '0044'",
    )
    .await;
    let report = rebuild_table(&deployment).await;
    assert_eq!((report.mended, report.inserted, report.deleted, report.records), (1, 1, 1, 2), "{report:?}");
    assert_eq!(report.rows, before.len() as u64);
    assert_eq!(report.equal, report.rows - 2);
    assert_eq!(contents(&deployment).await, before);
    let now: Vec<String> =
        deployment.value("select array_agg(r::text order by key) from upwrite.records r").await.unwrap();
    assert_eq!(now, records);
    let mended: i64 = deployment.value("select _version from crm.contact where id = '0040'").await.unwrap();
    assert_eq!(mended, version + 1);
    let untouched_now: String = deployment.value(&format!("select t::text from {untouched} t")).await.unwrap();
    assert_eq!(untouched_now, untouched_before);
    assert!(!rebuild_table(&deployment).await.changed(), "twice is once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_emptied_is_filled_again() {
    let deployment = TestDeployment::start().await;
    for chunk in 0..5 {
        let rows = (0..1000).map(|n| seen_row(&format!("{chunk}-{n}"), "Ada", "1")).collect();
        deployment.observe((chunk * 10, chunk * 10 + 1), rows).await;
    }
    let before = contents(&deployment).await;
    damage(&deployment, "delete from crm.contact").await;
    let report = rebuild_table(&deployment).await;
    assert_eq!((report.inserted, report.rows, report.equal), (5000, 5000, 0), "{report:?}");
    assert_eq!(contents(&deployment).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_is_left_and_told() {
    let deployment = TestDeployment::start().await;
    deployment.observe((1, 2), vec![seen_row("003A", "Ada", "1"), seen_row("003B", "B", "1")]).await;
    damage(&deployment, "update crm.contact set name = 'Mallory'").await;
    let lock = deployment.lock("select 1 from crm.contact where id = '003A' for update").await;
    let report = rebuild_table(&deployment).await;
    assert_eq!((report.mended, report.locked), (1, 1), "{report:?}");
    lock.rollback().await.unwrap();
    assert_eq!(rebuild_table(&deployment).await.mended, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_mutations_are_mended() {
    let deployment = TestDeployment::start().await;
    make(&deployment, &mut Dice::new(4), 40).await;
    let (open, _) = deployment.submit(insert()).await;
    deployment.wait::<String>("it", &format!("select state from upwrite.mutations where id = '{open}'")).await;
    let select = "select array_agg(format('%s', m) order by id) from upwrite.mutations m";
    let before: Vec<String> = deployment.value(select).await.unwrap();
    let owners = "select array_agg(owner::text order by partition) from upwrite.positions where stream = 'mutations'";
    let owners_before: Vec<String> = deployment.value(owners).await.unwrap();
    let claims = rows(&deployment, "upwrite.claims").await;
    damage(
        &deployment,
        "update upwrite.mutations set state = 'dead', keys = '{x}', message = 'wrong'
          where id = (select id from upwrite.mutations where state = 'applied' limit 1);
         update upwrite.mutations set finished_at = now(), released = true where state = 'requested';
         insert into upwrite.mutations select (m).* from (
             select jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid())) as m
               from upwrite.mutations m limit 1) bogus;
         update upwrite.positions set owner = gen_random_uuid() where stream = 'mutations' and partition = 0",
    )
    .await;
    let report = rebuild(&deployment).projections().await.unwrap().mutations;
    assert_eq!((report.mended, report.inserted, report.deleted, report.owners), (2, 0, 1, 1), "{report:?}");
    assert_eq!(deployment.value::<Vec<String>>(select).await.unwrap(), before);
    assert_eq!(deployment.value::<Vec<String>>(owners).await.unwrap(), owners_before);
    assert_eq!(rows(&deployment, "upwrite.claims").await, claims);

    let times = "select array_agg(format('%s %s', id, answered_at) order by id) from upwrite.mutations where released";
    let answered: Vec<String> = deployment.value(times).await.unwrap();
    damage(&deployment, "delete from upwrite.mutations where released").await;
    let report = rebuild(&deployment).projections().await.unwrap().mutations;
    assert_eq!((report.mended, report.inserted, report.deleted), (0, answered.len() as u64, 0), "{report:?}");
    assert_eq!(deployment.value::<Vec<String>>(times).await.unwrap(), answered);
}
