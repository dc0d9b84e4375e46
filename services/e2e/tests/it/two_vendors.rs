//! Two vendors in one deployment: Salesforce, and one that differs from it in keys, idempotency and errors.

use serde_json::json;
use upwrite_e2e::{Log, Options, Vendor, World};

fn both(log: Log) -> Options {
    Options { log, vendors: vec![Vendor::Salesforce, Vendor::Ledger], ..Options::default() }
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

/// Entries upstream with this memo.
async fn entries(world: &World, memo: &str) -> usize {
    let entries = world.stand_in(Vendor::Ledger).records("entry").await.unwrap();
    entries.iter().filter(|entry| entry["memo"] == memo).count()
}

async fn written_to_end_to_end(log: Log) {
    let world = World::start(both(log)).await;
    let client = world.client().await;
    let sql = "insert into ledger.entry (amount, memo) values (12345678901234567890.25, 'first')
               returning id, amount::text, revision::int8";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (id, amount): (i64, String) = (row.get(0), row.get(1));
    assert!(id > 0, "{id} is no key of upstream's");
    assert_eq!((amount.as_str(), row.get::<_, i64>(2)), ("12345678901234567890.25", 1));
    let contact = "insert into salesforce.contact (last_name) values ('Beside') returning id";
    assert!(client.query_one(contact, &[]).await.unwrap().get::<_, String>(0).starts_with("003"));

    let sql = "update ledger.entry set memo = 'second', posted = true where id = $1 returning memo, revision::int8";
    let row = client.query_one(sql, &[&id]).await.unwrap();
    assert_eq!((row.get::<_, String>(0).as_str(), row.get::<_, i64>(1)), ("second", 2));
    assert_eq!(entries(&world, "second").await, 1);
    let row = client.query_one("delete from ledger.entry where id = $1 returning id", &[&id]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), id);
    assert_eq!(entries(&world, "second").await, 0);

    for (values, sqlstate, column) in [
        ("(amount, memo) values (null, 'x')", "23502", "amount"),
        ("(amount, memo) values (1, repeat('x', 81))", "22001", "memo"),
    ] {
        let error = client.execute(&format!("insert into ledger.entry {values}"), &[]).await.unwrap_err();
        assert_eq!(code(&error), sqlstate, "{error:?}");
        assert_eq!(error.as_db_error().and_then(tokio_postgres::error::DbError::column), Some(column), "{error:?}");
    }

    let ledger = world.stand_in(Vendor::Ledger);
    ledger.fault(json!({ "object": "entry", "op": "create" }), json!("lose_answer"), 1).await.unwrap();
    let sql = "insert into ledger.entry (amount, memo) values (3, 'lost') returning id";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0);
    assert_eq!(entries(&world, "lost").await, 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_vendor_is_written_to_end_to_end_beside_salesforce() {
    written_to_end_to_end(Log::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_vendor_is_written_to_end_to_end_on_kafka() {
    written_to_end_to_end(Log::Kafka { registry: false }).await;
}

const ENTRY: &str = "insert into ledger.entry (amount, memo) values (1, 'held') returning id::text";
const CONTACT: &str = "insert into salesforce.contact (last_name) values ('Held') returning id";

/// While `troubled` keeps a create and refuses everything else, the other's mutations have their verdicts.
async fn trouble_stays_with(world: &World, troubled: (Vendor, &'static str, &'static str), other: &'static str) {
    let (vendor, object, held_sql) = troubled;
    let stand_in = world.stand_in(vendor);
    stand_in.fault(json!({ "object": object, "op": "create" }), json!("hold"), 1).await.unwrap();
    let held_client = world.client().await;
    let held = tokio::spawn(async move { held_client.query_one(held_sql, &[]).await });
    stand_in.held(1).await.unwrap();
    // Behind it the vendor wants to be left alone, and then fails.
    stand_in.fault(json!({ "object": object }), json!({ "limit_429": { "retry_after_s": 1 } }), 2).await.unwrap();
    let waiting_client = world.client().await;
    let waiting = tokio::spawn(async move { waiting_client.query_one(held_sql, &[]).await });

    let mut sessions = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = world.client().await;
        sessions.spawn(async move {
            for _ in 0..5 {
                client.query_one(other, &[]).await.unwrap();
            }
        });
    }
    while let Some(ended) = sessions.join_next().await {
        ended.unwrap();
    }
    assert!(!held.is_finished(), "the troubled vendor has not answered yet");
    assert_eq!(stand_in.release().await.ok(), Some(()));
    held.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn b21_one_vendors_trouble_leaves_the_others_mutations_alone() {
    // Longer than the other's mutations take on a busy machine: the held call must not time out meanwhile.
    let patient = Options {
        request_timeout: std::time::Duration::from_secs(20),
        late_effect: std::time::Duration::from_secs(20),
        lease: std::time::Duration::from_secs(40),
        ..both(Log::Postgres)
    };
    let world = World::start(patient).await;
    trouble_stays_with(&world, (Vendor::Ledger, "entry", ENTRY), CONTACT).await;
    trouble_stays_with(&world, (Vendor::Salesforce, "Contact", CONTACT), ENTRY).await;
    world.finish().await;
}
