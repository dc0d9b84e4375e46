//! Statements that change a synced table, from the client's side.

use std::time::Duration;

use futures::future;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use upwrite_testkit::until;

use crate::upstream::Upstream;

const LIMIT: Duration = Duration::from_secs(10);
const INSERT: &str = "INSERT INTO sf.contact (last_name, email) VALUES ($1, $2) RETURNING id, upper(last_name), n";

async fn names(client: &Client) -> Vec<String> {
    let rows = client.query("SELECT last_name FROM sf.contact ORDER BY id", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM sf.contact", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn insert_update_delete_with_and_without_returning() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let row = client.query_one(INSERT, &[&"Doe", &"d@x.y"]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "003000000000001");
    assert_eq!(row.get::<_, &str>(1), "DOE");
    let simple = client
        .simple_query("INSERT INTO sf.contact (last_name) VALUES ('A'), ('B') RETURNING id AS key")
        .await
        .unwrap();
    let keys: Vec<_> = simple
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get("key"),
            _ => None,
        })
        .collect();
    assert_eq!(keys, ["003000000000002", "003000000000003"]);
    assert!(matches!(simple.last(), Some(SimpleQueryMessage::CommandComplete(2))));
    assert_eq!(client.execute("UPDATE sf.contact SET n = 4 WHERE last_name <> 'Doe'", &[]).await.unwrap(), 2);
    let row =
        client.query_one("UPDATE sf.contact SET n = n + $1 WHERE last_name = 'A' RETURNING n", &[&1]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 5);
    let row = client.query_one("DELETE FROM sf.contact WHERE last_name = 'B' RETURNING id, n", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("003000000000003", 4));
    assert_eq!(names(&client).await, ["Doe", "A"]);
    // Nothing to change: no mutation.
    let requests = upstream.requests();
    assert_eq!(client.execute("UPDATE sf.contact SET n = 1 WHERE id = 'none'", &[]).await.unwrap(), 0);
    assert_eq!(client.execute("UPDATE sf.contact SET n = n", &[]).await.unwrap(), 2);
    assert_eq!(upstream.requests(), requests);
}

#[tokio::test]
async fn prepared_statements_and_pipelines() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let insert = client.prepare(INSERT).await.unwrap();
    let inserts =
        (0..20).map(|number| {
            let (client, insert) = (&client, &insert);
            async move {
                client.query_one(insert, &[&format!("N{number}"), &None::<&str>]).await.unwrap().get::<_, String>(0)
            }
        });
    let keys = future::join_all(inserts).await;
    assert_eq!(keys.len(), 20);
    assert!(keys.is_sorted(), "{keys:?}");
    assert_eq!(count(&client).await, 20);
    client.simple_query("DISCARD ALL").await.unwrap();
    client.query_one(INSERT, &[&"After", &None::<&str>]).await.unwrap();
    let last: String = client.query_one("SHOW upwrite.last_mutation", &[]).await.unwrap().get(0);
    let state: String = client
        .query_one("SELECT state FROM upwrite.mutations WHERE id = $1::text::uuid", &[&last])
        .await
        .unwrap()
        .get(0);
    assert_eq!(state, "applied");
}

#[tokio::test]
async fn an_upstream_refusal_is_an_error_of_the_statement() {
    let upstream = Upstream::new().await;
    let mut client = upstream.site.client().await;
    for simple in [false, true] {
        let error = if simple {
            client.simple_query("INSERT INTO sf.contact (last_name) VALUES ('Refused')").await.unwrap_err()
        } else {
            client.query_one(INSERT, &[&"Refused", &None::<&str>]).await.unwrap_err()
        };
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::CHECK_VIOLATION);
        assert_eq!((error.table(), error.column()), (Some("contact"), Some("last_name")));
    }
    // Inside a block, savepoints and the block's end are PostgreSQL's own.
    let mut block = client.transaction().await.unwrap();
    block.execute("INSERT INTO sf.contact (last_name) VALUES ('Kept')", &[]).await.unwrap();
    let savepoint = block.savepoint("s").await.unwrap();
    let error = savepoint.execute("INSERT INTO sf.contact (last_name) VALUES ('Refused')", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION));
    let error = savepoint.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    savepoint.rollback().await.unwrap();
    assert_eq!(block.query_one("SELECT count(*) FROM sf.contact", &[]).await.unwrap().get::<_, i64>(0), 1);
    block.commit().await.unwrap();
    assert_eq!(names(&client).await, ["Kept"]);
}

#[tokio::test]
async fn a_block_sees_its_mutations_and_keeps_its_local_work() {
    let upstream = Upstream::new().await;
    let mut client = upstream.site.client().await;
    client.batch_execute("CREATE TABLE note (text text)").await.unwrap();
    let block = client.transaction().await.unwrap();
    block.execute("INSERT INTO note VALUES ('before')", &[]).await.unwrap();
    let id: String = block.query_one(INSERT, &[&"Doe", &None::<&str>]).await.unwrap().get(0);
    block.execute("INSERT INTO note VALUES ($1)", &[&id]).await.unwrap();
    block.execute("UPDATE sf.contact SET n = 1 WHERE id = $1", &[&id]).await.unwrap();
    block.execute("UPDATE sf.contact SET n = n + 1 WHERE id = $1", &[&id]).await.unwrap();
    block.commit().await.unwrap();
    assert_eq!(client.query_one("SELECT n FROM sf.contact", &[]).await.unwrap().get::<_, i32>(0), 2);
    assert_eq!(client.query_one("SELECT count(*) FROM note", &[]).await.unwrap().get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_rollback_that_came_too_late_is_told() {
    let upstream = Upstream::new().await;
    let (client, mut connection) = upstream.site.config().connect(NoTls).await.unwrap();
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                let _ = sender.send(notice.severity().to_owned());
            }
        }
    });
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("INSERT INTO sf.contact (last_name) VALUES ('Doe')").await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(notices.recv().await.as_deref(), Some("WARNING"));
    assert_eq!(names(&client).await, ["Doe"]);
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(notices.try_recv().is_err());
}

#[tokio::test]
async fn refused_before_anything_is_sent() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    client.execute("INSERT INTO sf.contact (last_name) VALUES ('Doe')", &[]).await.unwrap();
    client.batch_execute("CREATE TABLE note (text text)").await.unwrap();
    let requests = upstream.requests();
    for sql in [
        "INSERT INTO sf.contact (last_name) VALUES ('X'); SELECT 1",
        "COPY sf.contact (last_name) FROM STDIN",
        "WITH made AS (INSERT INTO sf.contact (last_name) VALUES ('X') RETURNING id) INSERT INTO note SELECT id FROM made",
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{sql}: {error}");
    }
    for (begin, code) in [
        ("BEGIN ISOLATION LEVEL REPEATABLE READ", SqlState::FEATURE_NOT_SUPPORTED),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", SqlState::FEATURE_NOT_SUPPORTED),
        ("BEGIN READ ONLY", SqlState::READ_ONLY_SQL_TRANSACTION),
        ("BEGIN; SELECT * FROM sf.contact FOR UPDATE", SqlState::FEATURE_NOT_SUPPORTED),
    ] {
        client.batch_execute(begin).await.unwrap();
        let error = client.simple_query("UPDATE sf.contact SET n = 7").await.unwrap_err();
        assert_eq!(error.code(), Some(&code), "{begin}: {error:?}");
        let error = client.simple_query("SELECT 1").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION), "{begin}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(upstream.requests(), requests);
    assert_eq!(names(&client).await, ["Doe"]);
}

#[tokio::test]
async fn functions_and_procedures_that_write() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    client
        .batch_execute(
            "CREATE FUNCTION add_contact(name text) RETURNS text LANGUAGE sql AS
                 'INSERT INTO sf.contact (last_name) VALUES (name) RETURNING last_name';
             CREATE PROCEDURE add_two(name text) LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO sf.contact (last_name) VALUES (name || 1), (name || 2); END $$",
        )
        .await
        .unwrap();
    let name: String = client.query_one("SELECT add_contact($1)", &[&"Fun"]).await.unwrap().get(0);
    assert_eq!(name, "Fun");
    client.simple_query("CALL add_two('P')").await.unwrap();
    client.execute("DO $$ BEGIN INSERT INTO sf.contact (last_name) VALUES ('Do'); END $$", &[]).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.simple_query("CALL add_two('Q')").await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    client.simple_query("PREPARE ins(text) AS INSERT INTO sf.contact (last_name) VALUES ($1)").await.unwrap();
    client.simple_query("EXECUTE ins('Exec')").await.unwrap();
    assert_eq!(names(&client).await, ["Fun", "P1", "P2", "Do", "Q1", "Q2", "Exec"]);
}

#[tokio::test]
async fn explain_analyze_runs_dry() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let plan = client.simple_query("EXPLAIN ANALYZE INSERT INTO sf.contact (last_name) VALUES ('X')").await.unwrap();
    assert!(plan.len() > 2);
    assert_eq!((upstream.requests(), count(&client).await), (0, 0));
}

#[tokio::test]
async fn a_hold_is_cancelled_by_request_and_withdrawn() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let token = client.cancel_token();
    let held = client.simple_query("INSERT INTO sf.contact (last_name) VALUES ('Slow')");
    let cancel = async {
        until(LIMIT, "the request", || async { (upstream.requests() == 1).then_some(()) }).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (result, ()) = tokio::join!(held, cancel);
    // Nobody answers the revocation: the applier of this test is at its one mutation.
    assert_eq!(result.unwrap_err().code().map(SqlState::code), Some("40003"));
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    upstream.release();
}

#[tokio::test]
async fn a_client_that_goes_away_changes_nothing() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    {
        let (leaving, connection) = upstream.site.config().connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let held = tokio::spawn(async move {
            let _ = leaving.simple_query("INSERT INTO sf.contact (last_name) VALUES ('Slow')").await;
        });
        until(LIMIT, "the request", || async { (upstream.requests() == 1).then_some(()) }).await;
        held.abort();
        connection.abort();
    }
    upstream.release();
    until(LIMIT, "the row", || async { (count(&client).await == 1).then_some(()) }).await;
}

#[tokio::test]
async fn timeouts_of_idle_sessions_do_not_end_a_hold() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let timeouts = "SET idle_in_transaction_session_timeout = '200ms'; SET idle_session_timeout = '200ms'";
    client.batch_execute(&format!("{timeouts}; BEGIN")).await.unwrap();
    let held = client.simple_query("INSERT INTO sf.contact (last_name) VALUES ('Slow')");
    let release = async {
        until(LIMIT, "the request", || async { (upstream.requests() == 1).then_some(()) }).await;
        // Of sessions that began to be idle later, both kinds have been ended.
        let (site, begin) = (&upstream.site, format!("{timeouts}; BEGIN"));
        tokio::join!(site.idle_until_ended(timeouts), site.idle_until_ended(&begin));
        upstream.release();
    };
    let (result, ()) = tokio::join!(held, release);
    result.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn two_sessions_lose_no_update() {
    let upstream = Upstream::new().await;
    let clients = [upstream.site.client().await, upstream.site.client().await];
    clients[0].execute("INSERT INTO sf.contact (last_name, n) VALUES ('Doe', 0)", &[]).await.unwrap();
    let add = async |client: &Client| {
        for _ in 0..20 {
            assert_eq!(client.execute("UPDATE sf.contact SET n = n + 1", &[]).await.unwrap(), 1);
        }
    };
    tokio::join!(add(&clients[0]), add(&clients[1]));
    assert_eq!(clients[0].query_one("SELECT n FROM sf.contact", &[]).await.unwrap().get::<_, i32>(0), 40);
}

#[tokio::test]
async fn two_sessions_lose_no_update_in_blocks_either() {
    let upstream = Upstream::new().await;
    let clients = [upstream.site.client().await, upstream.site.client().await];
    clients[0].execute("INSERT INTO sf.contact (last_name, n) VALUES ('Doe', 0)", &[]).await.unwrap();
    let add = async |client: &Client| {
        for _ in 0..10 {
            client.batch_execute("BEGIN").await.unwrap();
            let updated = client.query("UPDATE sf.contact SET n = n + $1 RETURNING n", &[&1]).await.unwrap();
            assert_eq!(updated.len(), 1);
            client.simple_query("UPDATE sf.contact SET n = n + 1").await.unwrap();
            client.batch_execute("COMMIT").await.unwrap();
        }
    };
    tokio::join!(add(&clients[0]), add(&clients[1]));
    assert_eq!(clients[0].query_one("SELECT n FROM sf.contact", &[]).await.unwrap().get::<_, i32>(0), 40);
}

/// A16: the key is about to be free.
#[tokio::test]
async fn a_duplicate_of_a_record_on_its_way_waits() {
    for way in ["simple", "extended", "block"] {
        let upstream = Upstream::new().await;
        let (first, second) = (upstream.site.client().await, upstream.site.client().await);
        first.execute("INSERT INTO sf.contact (last_name, email) VALUES ('Doe', 'a@b.c')", &[]).await.unwrap();
        let moving = first.simple_query("UPDATE sf.contact SET last_name = 'Slow', email = 'x@y.z'");
        let taking = async {
            until(LIMIT, "the request", || async { (upstream.requests() == 2).then_some(()) }).await;
            let insert = "INSERT INTO sf.contact (last_name, email) VALUES ('New', 'A@B.C')";
            match way {
                "simple" => second.batch_execute(insert).await,
                "extended" => second.execute(insert, &[]).await.map(|_| ()),
                _ => second.batch_execute("BEGIN").await,
            }?;
            if way == "block" {
                second.execute(insert, &[]).await?;
                second.batch_execute("COMMIT").await?;
            }
            Ok::<_, tokio_postgres::Error>(())
        };
        let release = async {
            upstream.site.wait_for_claim_wait().await;
            upstream.release();
        };
        let (moved, taken, ()) = tokio::join!(moving, taking, release);
        moved.unwrap();
        taken.unwrap_or_else(|error| panic!("{way}: {error:?}"));
        assert_eq!(names(&first).await, ["Slow", "New"], "{way}");
        // A duplicate that stays is one.
        let error = second.simple_query("INSERT INTO sf.contact (email) VALUES ('x@y.z')").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
        second.batch_execute("BEGIN").await.unwrap();
        let error = second.simple_query("INSERT INTO sf.contact (email) VALUES ('x@y.z')").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
        let error = second.simple_query("SELECT 1").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        second.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// Upstream made of the row something on which the list cannot be evaluated: the row of the dry run is the answer.
#[tokio::test]
async fn returning_that_fails_afterwards_is_answered_from_the_dry_run() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let insert = "INSERT INTO sf.contact (last_name, n) VALUES ('Zero', 5) RETURNING 10 / n, id";
    for block in [false, true] {
        if block {
            client.batch_execute("BEGIN").await.unwrap();
        }
        let row = client.query_one(insert, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 2);
        assert!(row.get::<_, &str>(1).starts_with("003"));
        client.simple_query(insert).await.unwrap();
        if block {
            client.batch_execute("COMMIT").await.unwrap();
        }
    }
    assert_eq!(count(&client).await, 4);
}

/// G3: a lost connection must not look like a definite failure.
#[tokio::test]
async fn a_connection_lost_in_a_hold_leaves_the_outcome_open() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let held = client.simple_query("INSERT INTO sf.contact (last_name) VALUES ('Slow')");
    let kill = async {
        until(LIMIT, "the request", || async { (upstream.requests() == 1).then_some(()) }).await;
        upstream.site.admin(&format!("SELECT pg_terminate_backend({pid})")).await;
    };
    let (result, ()) = tokio::join!(held, kill);
    let error = result.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("40003"), "{error:?}");
    upstream.release();
}

/// C9: a statement that waits for a claim has sent nothing.
#[tokio::test]
async fn a_wait_for_a_claim_is_cancelled_without_a_doubt() {
    let upstream = Upstream::new().await;
    let (first, second) = (upstream.site.client().await, upstream.site.client().await);
    first.execute("INSERT INTO sf.contact (last_name) VALUES ('Doe')", &[]).await.unwrap();
    let moving = first.simple_query("UPDATE sf.contact SET last_name = 'Slow'");
    let token = second.cancel_token();
    let waiting = async {
        until(LIMIT, "the request", || async { (upstream.requests() == 2).then_some(()) }).await;
        second.batch_execute("SET lock_timeout = '100ms'").await.unwrap();
        let error = second.execute("UPDATE sf.contact SET n = 1", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
        second.batch_execute("SET lock_timeout = 0").await.unwrap();
        let update = second.execute("UPDATE sf.contact SET n = 1", &[]);
        let cancel = async {
            upstream.site.wait_for_claim_wait().await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (updated, ()) = tokio::join!(update, cancel);
        assert_eq!(updated.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        upstream.release();
    };
    let (moved, ()) = tokio::join!(moving, waiting);
    moved.unwrap();
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn a_portal_hands_out_a_captured_result_in_parts() {
    let upstream = Upstream::new().await;
    let mut client = upstream.site.client().await;
    let block = client.transaction().await.unwrap();
    let portal =
        block.bind("INSERT INTO sf.contact (last_name) VALUES ('A'), ('B'), ('C') RETURNING id", &[]).await.unwrap();
    let mut parts = Vec::new();
    loop {
        let rows = block.query_portal(&portal, 2).await.unwrap();
        parts.push(rows.len());
        if rows.len() < 2 {
            break;
        }
    }
    assert_eq!(parts, [2, 1]);
    block.commit().await.unwrap();
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn a_serializable_default_does_not_hinder_autocommit() {
    let upstream = Upstream::new().await;
    let client = upstream.site.client().await;
    client.batch_execute("SET default_transaction_isolation = 'serializable'").await.unwrap();
    client.execute("INSERT INTO sf.contact (last_name, n) VALUES ('Doe', 1)", &[]).await.unwrap();
    assert_eq!(client.execute("UPDATE sf.contact SET n = n + 1", &[]).await.unwrap(), 1);
}
