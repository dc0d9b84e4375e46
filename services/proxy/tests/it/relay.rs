//! What does not concern synced tables behaves as on a direct connection.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _, future};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};

use crate::site::Site;

#[tokio::test]
async fn queries_simple_and_prepared() {
    let site = Site::new().await;
    let client = site.client().await;
    client
        .batch_execute("CREATE TABLE note (id int, text text); INSERT INTO note VALUES (1, 'a'), (2, NULL)")
        .await
        .unwrap();
    let messages = client.simple_query("SELECT * FROM note ORDER BY id; SELECT 7").await.unwrap();
    let rows = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
    assert_eq!(rows, 3);
    let statement = client.prepare("SELECT text FROM note WHERE id = $1").await.unwrap();
    assert_eq!(client.query_one(&statement, &[&1]).await.unwrap().get::<_, &str>(0), "a");
    assert_eq!(client.query_one(&statement, &[&2]).await.unwrap().get::<_, Option<&str>>(0), None);
    assert_eq!(client.execute("UPDATE note SET text = 'b'", &[]).await.unwrap(), 2);
    client.simple_query("").await.unwrap();
}

#[tokio::test]
async fn errors_leave_the_connection_usable() {
    let site = Site::new().await;
    let client = site.client().await;
    let error = client.query("SELECT 1 / $1::int", &[&0]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    let error = client.simple_query("SELEKT").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test]
async fn pipelines_of_many_requests() {
    let site = Site::new().await;
    let client = site.client().await;
    let statement = client.prepare("SELECT $1::int * 2").await.unwrap();
    let queries = (0..500).map(|number| {
        let (client, statement) = (&client, &statement);
        async move { client.query_one(statement, &[&number]).await.unwrap().get::<_, i32>(0) }
    });
    let doubled = future::join_all(queries).await;
    assert_eq!(doubled, (0..500).map(|number| number * 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn transactions_and_portals() {
    let site = Site::new().await;
    let mut client = site.client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT generate_series(1, 7)", &[]).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 3).await.unwrap();
        if rows.is_empty() {
            break;
        }
        seen.push(rows.len());
    }
    assert_eq!(seen, [3, 3, 1]);
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn copy_both_ways() {
    let site = Site::new().await;
    let client = site.client().await;
    client.batch_execute("CREATE TABLE line (n int, text text)").await.unwrap();
    let sink = client.copy_in("COPY line FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    for n in 0..1_000 {
        sink.send(Bytes::from(format!("{n}\t{}\n", "x".repeat(1_000)))).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 1_000);
    let out: Vec<Bytes> = client.copy_out("COPY line TO STDOUT").await.unwrap().try_collect().await.unwrap();
    assert_eq!(out.len(), 1_000);
    // A failed COPY, and the connection afterwards.
    let sink = client.copy_in::<_, Bytes>("COPY line FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"not a number\tx\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap_err().code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    assert_eq!(client.query_one("SELECT count(*) FROM line", &[]).await.unwrap().get::<_, i64>(0), 1_000);
}

#[tokio::test]
async fn big_results_and_long_values() {
    let site = Site::new().await;
    let client = site.client().await;
    let rows =
        client.query_raw("SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n", &[] as &[i32]).await.unwrap();
    assert_eq!(rows.count().await, 200_000);
    let long: String = client.query_one("SELECT repeat('y', 30000000)", &[]).await.unwrap().get(0);
    assert_eq!(long.len(), 30_000_000);
    let echoed: i32 = client.query_one("SELECT length($1::text)", &[&long]).await.unwrap().get(0);
    assert_eq!(echoed, 30_000_000);
}

#[tokio::test]
async fn notices_and_notifications() {
    let site = Site::new().await;
    let (client, mut connection) = site.config().connect(NoTls).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            let _ = sender.send(message);
        }
    });
    client.batch_execute("LISTEN news; DO $$ BEGIN RAISE NOTICE 'hello'; END $$").await.unwrap();
    let Some(AsyncMessage::Notice(notice)) = receiver.recv().await else { panic!("a notice") };
    assert_eq!(notice.message(), "hello");
    // From another session, while this one is idle.
    site.client().await.batch_execute("NOTIFY news, 'read all about it'").await.unwrap();
    let received = tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.unwrap();
    let Some(AsyncMessage::Notification(notification)) = received else { panic!("a notification") };
    assert_eq!(notification.payload(), "read all about it");
}

#[tokio::test]
async fn a_running_statement_is_cancelled_by_request_and_by_pid() {
    let site = Site::new().await;
    let client = site.client().await;
    let running = client.query("SELECT pg_catalog.pg_sleep(60)", &[]);
    let token = client.cancel_token();
    let cancel = async {
        site.wait_for_activity("pg_sleep(60)").await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (result, ()) = tokio::join!(running, cancel);
    assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));

    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let running = client.simple_query("SELECT pg_catalog.pg_sleep(61)");
    let other = site.client().await;
    let cancel = async {
        site.wait_for_activity("pg_sleep(61)").await;
        other.query("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap();
    };
    let (result, ()) = tokio::join!(running, cancel);
    assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
}

#[tokio::test]
async fn discard_all_and_volatile_statements() {
    let site = Site::new().await;
    let client = site.client().await;
    client
        .batch_execute("CREATE TABLE log (n int); CREATE FUNCTION note(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (n) RETURNING n'")
        .await
        .unwrap();
    for n in 0..3 {
        // Captured, though nothing synced is reached: it counts exactly once.
        assert_eq!(client.query_one("SELECT note($1)", &[&n]).await.unwrap().get::<_, i32>(0), n);
        client.simple_query("SELECT note(100)").await.unwrap();
        client.simple_query("DISCARD ALL").await.unwrap();
    }
    client.batch_execute("BEGIN").await.unwrap();
    client.simple_query("SELECT note(100)").await.unwrap();
    client.simple_query("DEALLOCATE ALL").await.unwrap();
    client.simple_query("SELECT note(100)").await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    let counts = client.query_one("SELECT count(*), count(*) FILTER (WHERE n = 100) FROM log", &[]).await.unwrap();
    assert_eq!((counts.get::<_, i64>(0), counts.get::<_, i64>(1)), (8, 5));
}

#[tokio::test]
async fn a_procedure_may_commit_inside() {
    let site = Site::new().await;
    let client = site.client().await;
    client
        .batch_execute(
            "CREATE TABLE step (n int);
             CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO step VALUES (1); COMMIT; INSERT INTO step VALUES (2); ROLLBACK; INSERT INTO step VALUES (3); END $$",
        )
        .await
        .unwrap();
    client.execute("CALL steps()", &[]).await.unwrap();
    client.simple_query("CALL steps()").await.unwrap();
    let rows = client.query("SELECT n FROM step ORDER BY n", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 1, 3, 3]);
}

#[tokio::test]
async fn large_results_of_volatile_statements_stream() {
    let site = Site::with(|config| config.limits.buffered_result_bytes = 10_000).await;
    let client = site.client().await;
    let rows = client.query("SELECT random(), n FROM generate_series(1, 5000) n", &[]).await.unwrap();
    assert_eq!(rows.len(), 5_000);
    let messages = client.simple_query("SELECT random(), n FROM generate_series(1, 5000) n").await.unwrap();
    assert_eq!(messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count(), 5_000);
}

#[tokio::test]
async fn other_encodings_pass_unchanged() {
    let site = Site::new().await;
    let client = site.client().await;
    client.batch_execute("CREATE TABLE word (text text); INSERT INTO word VALUES ('é')").await.unwrap();
    client.batch_execute("SET client_encoding = 'LATIN1'").await.unwrap();
    let messages = client.simple_query("SELECT encode(convert_to(text, 'LATIN1'), 'hex') FROM word").await.unwrap();
    let hex = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    assert_eq!(hex.as_deref(), Some("e9"));
}
