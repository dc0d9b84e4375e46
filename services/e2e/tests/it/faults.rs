//! Upstream misbehaves; clients get true verdicts.

use serde_json::json;
use upwrite_e2e::{Options, World};

async fn copies(world: &World, email: &str) -> usize {
    world.sandbox.records("Contact").await.unwrap().iter().filter(|record| record["Email"] == email).count()
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

/// The create's answer is lost; the resend would be refused as a duplicate of our own first attempt (B7).
#[tokio::test(flavor = "multi_thread")]
async fn b7_a_lost_answer_to_a_create_is_no_duplicate_and_no_error() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("lose_answer"), 1).await.unwrap();
    let sql = "insert into salesforce.contact (last_name, email) values ('Lost', 'lost@example.com') returning id";
    let id: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(id.starts_with("003"));
    assert_eq!(copies(&world, "lost@example.com").await, 1);
    world.finish().await;
}

/// Likewise for update and delete, where the look-up sees the change already made.
#[tokio::test(flavor = "multi_thread")]
async fn b7_lost_answers_to_update_and_delete_are_looked_up() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    let id: String = world.value("select min(id) from salesforce.contact").await.unwrap();
    world.sandbox.fault(json!({ "object": "Contact", "op": "update" }), json!("lose_answer"), 1).await.unwrap();
    let done = client.execute("update salesforce.contact set title = 'Lost' where id = $1", &[&id]).await.unwrap();
    assert_eq!(done, 1);
    world.sandbox.fault(json!({ "object": "Contact", "op": "delete" }), json!("lose_answer"), 1).await.unwrap();
    assert_eq!(client.execute("delete from salesforce.contact where id = $1", &[&id]).await.unwrap(), 1);
    assert_eq!(world.sandbox.record("Contact", &id).await.unwrap(), None);
    world.finish().await;
}

/// M1's request is executed late; M2 on the same record must wait until that is impossible (B1).
#[tokio::test(flavor = "multi_thread")]
async fn b1_a_late_effect_does_not_overwrite_the_next_mutation() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    let id: String = world.value("select min(id) from salesforce.contact").await.unwrap();
    let late = json!({ "execute_late": { "delay_ms": 1000 } });
    world.sandbox.fault(json!({ "object": "Contact", "op": "update" }), late, 1).await.unwrap();
    client.execute("update salesforce.contact set title = 'first' where id = $1", &[&id]).await.unwrap();
    client.execute("update salesforce.contact set title = 'second' where id = $1", &[&id]).await.unwrap();
    world.settled().await;
    assert_eq!(world.sandbox.record("Contact", &id).await.unwrap().unwrap()["Title"], "second");
    let title: String = world.value(&format!("select title from salesforce.contact where id = '{id}'")).await.unwrap();
    assert_eq!(title, "second");
    world.finish().await;
}

/// Nothing but a search can tell, and the search is allowed to: without an idempotency key (probe).
#[tokio::test(flavor = "multi_thread")]
async fn g4_without_a_key_a_lost_create_is_probed_for_never_resent_blindly() {
    let world = World::start(Options { keyed: false, ..Options::default() }).await;
    let client = world.client().await;
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("lose_answer"), 1).await.unwrap();
    let sql = "insert into salesforce.contact (last_name, email) values ('Lost', 'probe@example.com') returning id";
    match client.query_one(sql, &[]).await {
        Ok(row) => assert!(row.get::<_, String>(0).starts_with("003")),
        Err(error) => assert_eq!(code(&error), "40003", "{error}"),
    }
    world.settled().await;
    assert_eq!(copies(&world, "probe@example.com").await, 1);
    world.finish().await;
}

/// Refused for a passing reason, then accepted: the client only sees that it took a little longer.
#[tokio::test(flavor = "multi_thread")]
async fn passing_refusals_are_tried_again() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    for fault in [json!("over_quota"), json!({ "server_error": { "status": 503 } }), json!("html_body"), json!("reset")]
    {
        world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), fault.clone(), 1).await.unwrap();
        let sql =
            "insert into salesforce.contact (last_name, email) values ('Again', 'again@example.com') returning id";
        let id: String = client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{fault}: {error}")).get(0);
        client.execute("delete from salesforce.contact where id = $1", &[&id]).await.unwrap();
    }
    assert_eq!(copies(&world, "again@example.com").await, 0);
    world.finish().await;
}

/// Nothing was sent yet: the client is told "not applied" and that is true. In flight: 40003, and the outcome is
/// found by its id.
#[tokio::test(flavor = "multi_thread")]
async fn b5_a_hold_that_times_out_tells_the_truth() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.batch_execute("set upwrite.hold_timeout = '1s'").await.unwrap();
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 1).await.unwrap();
    let error = client
        .execute("insert into salesforce.contact (last_name, email) values ('Held', 'held@example.com')", &[])
        .await
        .unwrap_err();
    assert_eq!(code(&error), "40003", "{error}");
    let detail = error.as_db_error().unwrap().detail().unwrap_or_default().to_owned();
    let id: String =
        world.value("select id::text from upwrite.mutations order by requested_at desc limit 1").await.unwrap();
    assert!(detail.contains(&id), "{detail} does not name {id}");
    world.sandbox.release().await.unwrap();
    let awaited = client.query_one("select state from upwrite.await($1::text::uuid, '10s')", &[&id]).await.unwrap();
    assert_eq!(awaited.get::<_, String>(0), "applied");
    assert_eq!(copies(&world, "held@example.com").await, 1);
    world.finish().await;
}

/// Upstream keeps refusing for a passing reason; the client's time is over before anything was applied.
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_hold_that_times_out_between_attempts_is_withdrawn() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.batch_execute("set upwrite.hold_timeout = '2s'").await.unwrap();
    let away = json!({ "limit_429": { "retry_after_s": 30 } });
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), away, 1000).await.unwrap();
    let error = client
        .execute("insert into salesforce.contact (last_name, email) values ('Limited', 'limited@example.com')", &[])
        .await
        .unwrap_err();
    assert_eq!(code(&error), "57014", "{error}");
    world.sandbox.clear_faults().await.unwrap();
    world.settled().await;
    assert_eq!(copies(&world, "limited@example.com").await, 0);
    let state: String =
        world.value("select state from upwrite.mutations order by requested_at desc limit 1").await.unwrap();
    assert_eq!(state, "revoked");
    world.finish().await;
}

/// The client goes away in mid-hold: the mutation goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_gone_in_mid_hold_changes_nothing() {
    let world = World::start(Options::default()).await;
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 1).await.unwrap();
    let client = world.client().await;
    let statement = tokio::spawn(async move {
        client
            .execute("insert into salesforce.contact (last_name, email) values ('Gone', 'gone@example.com')", &[])
            .await
    });
    world.sandbox.held(1).await.unwrap();
    statement.abort();
    let _aborted = statement.await;
    world.sandbox.release().await.unwrap();
    let sql = "select state from upwrite.mutations where finished_at is not null order by requested_at desc limit 1";
    assert_eq!(world.wait::<String>("the verdict", sql).await, "applied");
    assert_eq!(copies(&world, "gone@example.com").await, 1);
    world.finish().await;
}

/// 500 rows go in three calls. The second one is refused: the statement applied in part, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn b17_a_statement_larger_than_a_batch_that_applies_in_part_says_so() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    let sql = "insert into salesforce.contact (last_name, email) \
               select case when n = 300 then null else 'Row ' || n end, 'part' || n || '@example.com' \
               from generate_series(1, 500) n";
    let error = client.execute(sql, &[]).await.unwrap_err();
    assert_eq!(code(&error), "40003", "{error}");
    world.settled().await;
    let upstream = world.sandbox.records("Contact").await.unwrap();
    let upstream = upstream
        .iter()
        .filter(|record| record["Email"].as_str().is_some_and(|email| email.starts_with("part")))
        .count();
    let table: i64 = world.value("select count(*) from salesforce.contact where email like 'part%'").await.unwrap();
    assert_eq!(upstream as i64, table);
    assert_eq!(table, 200, "the first call's rows, and no others");
    world.finish().await;
}
