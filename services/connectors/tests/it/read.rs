//! Pages and reads by id.

use std::collections::BTreeSet;

use upwrite_connectors::{Connector, LookupResult};
use upwrite_events::{ColumnSpec, ObservedRow};
use upwrite_sandbox::salesforce::OrgOptions;

use crate::harness::{World, config, salesforce, value};

fn many() -> OrgOptions {
    OrgOptions { contacts: 2_300, ..OrgOptions::default() }
}

#[tokio::test]
async fn a_backfill_sees_every_record_once_and_survives_a_restart() {
    let world = World::with(many(), |_| {}).await;
    let table = world.table("contact");
    let mut rows: Vec<ObservedRow> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut pages = 0;
    loop {
        // A new process each time: nothing but the cursor is left of the page before.
        let connector = salesforce(config(&world.sandbox.base_url));
        let page = connector.page(table, cursor.as_deref()).await.unwrap();
        rows.extend(page.rows);
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 2_300);
    let records = world.sandbox.records("Contact", false);
    for record in records.iter().step_by(97) {
        let row = rows.iter().find(|row| record["Id"] == row.key.as_str()).expect("each record");
        let image = row.image.as_ref().unwrap();
        assert_eq!(value(image, "last_name"), record["LastName"].as_str());
        assert_eq!(value(image, "email"), record["Email"].as_str());
        assert_eq!(image.len(), table.columns.len(), "every column is spoken of");
        assert!(row.vendor_version.as_ref().unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn a_table_too_wide_for_a_url_is_read_all_the_same() {
    let world = World::with(many(), |_| {}).await;
    let mut wide = world.table("contact").clone();
    let template = wide.column("description").unwrap().clone();
    wide.columns.extend((0..1_000).map(|n| ColumnSpec { name: format!("copy_{n}"), ..template.clone() }));
    let first = world.connector.page(&wide, None).await.unwrap();
    assert_eq!(first.rows.len(), 800);
    let second = world.connector.page(&wide, first.next.as_deref()).await.unwrap();
    assert!(first.rows.last().unwrap().key < second.rows[0].key);
    assert!(first.rows[0].image.as_ref().unwrap().contains_key("copy_999"));
}

#[tokio::test]
async fn records_are_read_by_id_in_the_order_asked_for() {
    let world = World::start().await;
    let (kept, gone) = (world.contact("Kept").await, world.contact("Gone").await);
    world.sandbox.third_party_delete("Contact", &gone).unwrap();
    let keys = [
        "003zzzzzzzzzzzzAAA".to_owned(),
        kept.clone(),
        "pending:1".to_owned(),
        gone,
        kept[..15].to_owned(),
        "'; DROP".to_owned(),
    ];
    let (found, seen) = world.connector.read(world.table("contact"), &keys).await.unwrap();
    assert!(seen.begun_us <= seen.ended_us);
    let shapes: Vec<bool> = found.iter().map(|found| matches!(found, LookupResult::Present { .. })).collect();
    assert_eq!(shapes, [false, true, false, false, true, false]);
    let LookupResult::Present { key, image, vendor_version } = &found[1] else { panic!() };
    assert_eq!((key, value(image, "last_name")), (&kept, Some("Kept")));
    assert!(vendor_version.is_some());
}
