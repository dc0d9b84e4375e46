//! What a session can set, and what it is told.

use serde_json::json;
use upwrite_e2e::{Options, World};

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

async fn refused(client: &tokio_postgres::Client, sql: &str) -> tokio_postgres::Error {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("not refused: {sql}"),
        Err(error) => error,
    }
}

/// `accepted`: told before upstream is done; the outcome is found by the id.
#[tokio::test(flavor = "multi_thread")]
async fn ack_accepted_answers_before_upstream_and_await_finds_the_outcome() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.batch_execute("set upwrite.ack = 'accepted'").await.unwrap();
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 1).await.unwrap();
    let done = client.execute("insert into salesforce.contact (last_name) values ('Early')", &[]).await.unwrap();
    assert_eq!(done, 1);
    let error = refused(&client, "insert into salesforce.contact (last_name) values ('x') returning id").await;
    assert_eq!(code(&error), "0A000", "{error}");
    world.sandbox.held(1).await.unwrap();
    let id: String = client.query_one("show upwrite.last_mutation", &[]).await.unwrap().get(0);
    world.sandbox.release().await.unwrap();
    let state: String =
        client.query_one("select state from upwrite.await($1::text::uuid, '20s')", &[&id]).await.unwrap().get(0);
    assert_eq!(state, "applied");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_are_refused_by_name() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    let insert = "insert into salesforce.contact (last_name) values ('x')";
    for (name, value, expected) in [
        ("upwrite.hold_timeout", "soon", "22023"),
        ("upwrite.ack", "maybe", "22023"),
        ("upwrite.on_rollback", "shrug", "22023"),
        ("upwrite.idempotency_key", "k1", "0A000"),
    ] {
        client.batch_execute(&format!("set {name} = '{value}'")).await.unwrap();
        let error = refused(&client, insert).await;
        assert_eq!(code(&error), expected, "{name}: {error}");
        let message = error.as_db_error().unwrap().message();
        assert!(message.contains(name), "{message} does not name {name}");
        client.batch_execute(&format!("reset {name}")).await.unwrap();
    }
    client.batch_execute(insert).await.unwrap();
    world.finish().await;
}

/// A later ROLLBACK cannot undo upstream: a WARNING says so, and upwrite.mutations remembers.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_the_verdict_is_noted() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.batch_execute("begin").await.unwrap();
    client.execute("insert into salesforce.contact (last_name) values ('Stays')", &[]).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    world.wait::<bool>("the note", "select outlived_rollback from upwrite.mutations where outlived_rollback").await;
    let there: i64 = world.value("select count(*) from salesforce.contact where last_name = 'Stays'").await.unwrap();
    assert_eq!(there, 1);

    client.batch_execute("set upwrite.on_rollback = 'refuse'; begin").await.unwrap();
    let error = refused(&client, "insert into salesforce.contact (last_name) values ('Never')").await;
    assert_eq!(code(&error), "0A000", "{error}");
    client.batch_execute("rollback").await.unwrap();
    world.finish().await;
}

/// Statements that this version does not do are refused before anything is sent, each with a hint (A9 among them).
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_built_is_refused_whole() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.batch_execute("create table public.note (text text)").await.unwrap();
    for sql in [
        "begin isolation level repeatable read; update salesforce.contact set title = 'x'",
        "begin isolation level serializable; update salesforce.contact set title = 'x'",
        "with n as (insert into public.note values ('x')) update salesforce.contact set title = 'x'",
        "copy salesforce.contact (last_name) from stdin",
        "truncate salesforce.contact",
        "with a as (update salesforce.account set name = name || '!') update salesforce.contact set title = 'x'",
    ] {
        let statements: Vec<&str> = sql.split("; ").collect();
        let (last, first) = statements.split_last().unwrap();
        for statement in first {
            client.batch_execute(statement).await.unwrap();
        }
        let error = refused(&client, last).await;
        assert_eq!(code(&error), "0A000", "{sql}: {error}");
        assert!(error.as_db_error().unwrap().hint().is_some(), "{sql}: no hint");
        client.batch_execute("rollback").await.unwrap();
    }
    let notes: i64 = world.value("select count(*) from public.note").await.unwrap();
    assert_eq!(notes, 0);
    let mutations: i64 = world.value("select count(*) from upwrite.mutations").await.unwrap();
    assert_eq!(mutations, 0, "something was sent");
    world.finish().await;
}

/// Each user sees own mutations only, members of upwrite_monitor all.
#[tokio::test(flavor = "multi_thread")]
async fn mutations_are_their_own_users_to_see() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    client.execute("insert into salesforce.contact (last_name) values ('Mine')", &[]).await.unwrap();
    sqlx::query("create role other login password 'other'").execute(&world.admin).await.unwrap();
    let url = world.url().replace("//app:app-password", "//other:other");
    let (other, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "select count(*) from upwrite.mutations";
    let seen = client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(seen, 1);
    let seen = other.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(seen, 0);
    sqlx::query("grant upwrite_monitor to other").execute(&world.admin).await.unwrap();
    let seen = other.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(seen, 1);
    let user: String = client
        .query_one("select username || '/' || application_name from upwrite.mutations", &[])
        .await
        .unwrap()
        .get(0);
    assert!(user.starts_with("app/"), "{user}");
    drop((client, other));
    world.finish().await;
}
