//! `upwrite.await` and `upwrite.mutations`: one's own.

use std::time::{Duration, Instant};

use crate::database::Database;

const ID: &str = "01900000-0000-7000-8000-000000000001";

fn insert(user: &str, finished: &str) -> String {
    format!(
        "INSERT INTO upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
             application_name, requested_at, partition, position, lifecycle, finished_at)
         VALUES ('{ID}', 'applied', 'salesforce', 'contact', 'insert', 1, 'd', '{user}', 'a', now(), 0, 0, '{{}}', {finished})"
    )
}

#[tokio::test]
async fn waits_for_an_id_that_is_not_yet_known() {
    let database = Database::new().await;
    let (app, reconciler) = (database.app().await, database.reconciler().await);
    let user = database.user.clone();
    let (sql, insert) = (format!("SELECT state FROM upwrite.await('{ID}', '30s')"), insert(&user, "null"));
    let started = Instant::now();
    let writes = async {
        reconciler.ok(&insert).await;
        reconciler.ok("UPDATE upwrite.mutations SET finished_at = now()").await;
    };
    let (state, ()) = tokio::join!(app.one(&sql), writes);
    assert_eq!(state, "applied");
    assert!(started.elapsed() < Duration::from_secs(20), "woke by the timeout only");
}

#[tokio::test]
async fn gives_up_after_its_timeout_with_what_there_is() {
    let database = Database::new().await;
    let app = database.app().await;
    let sql = format!("SELECT finished_at IS NULL FROM upwrite.await('{ID}', '20ms')");
    assert_eq!(app.maybe(&sql).await, None);
    database.reconciler().await.ok(&insert(&database.user, "null")).await;
    assert_eq!(app.maybe(&sql).await.as_deref(), Some("t"));
    let refusal = app.refused(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT upwrite.await('{ID}')")).await;
    assert_eq!(refusal.code, "0A000");
}

#[tokio::test]
async fn shows_one_s_own_only_and_everything_to_monitors() {
    let database = Database::new().await;
    let app = database.app().await;
    database.reconciler().await.ok(&insert("somebody else", "now()")).await;
    let sql = format!("SELECT username FROM upwrite.await('{ID}', '20ms')");
    assert_eq!(app.maybe(&sql).await, None);
    assert_eq!(app.one("SELECT count(*) FROM upwrite.mutations").await, "0");
    assert_eq!(app.refused("SELECT * FROM upwrite.claims").await.code, "42501");
    database.superuser().await.ok(&format!("GRANT upwrite_monitor TO {}", database.user)).await;
    assert_eq!(app.maybe(&sql).await.as_deref(), Some("somebody else"));
    assert_eq!(app.one("SELECT count(*) FROM upwrite.mutations").await, "1");
    assert_eq!(app.one("SELECT count(*) FROM upwrite.claims").await, "0");
    assert_eq!(database.service().await.one("SELECT count(*) FROM upwrite.mutations").await, "1");
}
