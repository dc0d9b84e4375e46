//! After a lost answer: the look-up finds what the create made, and only that.

use std::time::SystemTime;

use upwrite_connectors::{CallRow, Connector, LookupResult};
use upwrite_events::{Op, Outcome, unix_us};
use upwrite_sandbox::Fault;

use crate::harness::{World, failed, insert, value};

fn now_us() -> i64 {
    unix_us(SystemTime::now())
}

async fn find(world: &World, table: &str, rows: &[CallRow], since: i64) -> Vec<LookupResult> {
    let (found, seen) = world.connector.find_created(world.table(table), rows, since).await.expect("an answer");
    assert!(seen.begun_us <= seen.ended_us);
    assert_eq!(found.len(), rows.len());
    found
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_key() {
    let world = World::start().await;
    let rows = [insert(&[("last_name", "One")]), insert(&[("last_name", "Two")]), insert(&[("last_name", "Three")])];
    let since = now_us();
    assert!(find(&world, "contact", &rows, since).await.iter().all(|found| *found == LookupResult::Absent));
    world.fault("create", Fault::LoseAnswer);
    let report = world.call("contact", Op::Insert, &rows[..2], false).await;
    assert_eq!(failed(&report.rows[0]).failure.outcome, Outcome::Unknown);

    let found = find(&world, "contact", &rows, since).await;
    for (found, name) in found.iter().zip(["One", "Two"]) {
        let LookupResult::Present { key, image, vendor_version } = found else { panic!("{found:?}") };
        assert_eq!((value(image, "id"), value(image, "last_name")), (Some(key.as_str()), Some(name)));
        assert!(vendor_version.is_some());
    }
    assert_eq!(found[2], LookupResult::Absent);

    // Deleted since: it was created, so it must not be created again.
    let LookupResult::Present { key, .. } = &found[0] else { panic!() };
    world.sandbox.third_party_delete("Contact", key).unwrap();
    let again = find(&world, "contact", &rows, since).await;
    assert!(matches!(&again[0], LookupResult::Present { key: same, .. } if same == key), "{:?}", again[0]);
}

#[tokio::test]
async fn a_look_up_of_many_keys_fits_into_urls() {
    let world = World::start().await;
    let rows: Vec<CallRow> = (0..200).map(|n| insert(&[("last_name", &format!("Many {n}"))])).collect();
    world.call("contact", Op::Insert, &rows[..150], true).await;
    let found = find(&world, "contact", &rows, now_us()).await;
    let present = found.iter().filter(|found| matches!(found, LookupResult::Present { .. })).count();
    assert_eq!((present, found[150..].iter().all(|found| *found == LookupResult::Absent)), (150, true));
}

fn deal(name: &str) -> CallRow {
    insert(&[("name", name), ("stage_name", "Prospecting"), ("close_date", "2026-01-31"), ("amount", "12.50")])
}

#[tokio::test]
async fn without_a_key_field_the_content_tells() {
    let world = World::start().await;
    let since = now_us();
    let rows = [deal("It's \"new\" \\ 漢"), deal("Not sent")];
    world.fault("create", Fault::LoseAnswer);
    let report = world.call("opportunity", Op::Insert, &rows[..1], false).await;
    assert_eq!(failed(&report.rows[0]).failure.outcome, Outcome::Unknown);
    let found = find(&world, "opportunity", &rows, since).await;
    let LookupResult::Present { image, .. } = &found[0] else { panic!("{found:?}") };
    assert_eq!((value(image, "name"), value(image, "amount")), (Some("It's \"new\" \\ 漢"), Some("12.50")));
    assert_eq!(found[1], LookupResult::Absent);

    // What was there long before is not it.
    let later = since + 3_600_000_000;
    assert_eq!(find(&world, "opportunity", &rows, later).await[0], LookupResult::Absent);

    // A second that looks the same: nobody can tell.
    let report = world.call("opportunity", Op::Insert, &rows[..1], false).await;
    assert!(matches!(report.rows[0], upwrite_connectors::RowResult::Applied { .. }));
    assert_eq!(find(&world, "opportunity", &rows, since).await[0], LookupResult::Ambiguous);
    // Unless two were sent.
    let twins = [rows[0].clone(), deal("It's \"new\" \\ 漢")];
    let found = find(&world, "opportunity", &twins, since).await;
    let keys: Vec<&str> = found
        .iter()
        .map(|found| match found {
            LookupResult::Present { key, .. } => key.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(keys[0], keys[1]);
}
