//! `changes()` says exactly what would have been committed.

use bytes::Bytes;
use futures::SinkExt as _;

use crate::database::{Change, Database, seed, table};

#[tokio::test]
async fn rolled_back_savepoints_and_exception_blocks_leave_no_trace() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let app = database.app().await;
    app.ok("BEGIN; UPDATE salesforce.contact SET n = 2;
            SAVEPOINT a; UPDATE salesforce.contact SET n = 3; ROLLBACK TO a;
            DO $$ BEGIN
                BEGIN UPDATE salesforce.contact SET n = 4; RAISE 'undo'; EXCEPTION WHEN OTHERS THEN NULL; END;
                BEGIN UPDATE salesforce.contact SET n = 5; EXCEPTION WHEN OTHERS THEN NULL; END;
            END $$;
            SELECT upwrite.flush()")
        .await;
    let numbers: Vec<String> =
        app.changes().await.iter().map(|change| Change::fields(&change.new)[3].clone()).collect();
    assert_eq!(numbers, ["2", "5"]);
    app.ok("ROLLBACK").await;
    assert_eq!(app.changes().await, []);
}

#[tokio::test]
async fn upsert_merge_cte_and_copy_give_their_images_in_order() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let app = database.app().await;
    app.ok("BEGIN;
            INSERT INTO salesforce.contact (id, n) VALUES ('003A', 9), ('003B', 9)
                ON CONFLICT (id) DO UPDATE SET n = excluded.n;")
        .await;
    assert_eq!(app.ops().await, "ui");
    app.ok("MERGE INTO salesforce.contact c USING (VALUES ('003A'), ('003C')) AS v (id) ON c.id = v.id
                WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);")
        .await;
    assert_eq!(app.ops().await, "uidi");
    app.ok("WITH gone AS (DELETE FROM salesforce.contact WHERE id = '003B' RETURNING n)
            INSERT INTO salesforce.contact (id, n) SELECT '003D', n FROM gone")
        .await;
    assert_eq!(app.ops().await.len(), 6);
    let copy = app.client.copy_in("COPY salesforce.contact (id, n) FROM STDIN").await.unwrap();
    let mut copy = std::pin::pin!(copy);
    copy.send(Bytes::from_static(b"003E\t1\n003F\t2\n")).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 2);
    let changes = app.changes().await;
    assert_eq!(changes[0].old.as_deref(), Some("(003A,Seed,,1,,1,)"));
    assert_eq!(changes[0].new.as_deref(), Some("(003A,Seed,,9,,1,)"));
    assert_eq!((&changes[1].old, changes[1].new.as_deref()), (&None, Some("(003B,,,9,,0,)")));
    assert_eq!(changes[2], Change { op: 'd', old: Some("(003A,Seed,,9,,1,)".into()), new: None });
    assert_eq!(changes[7].new.as_deref(), Some("(003F,,,2,,0,)"));
    assert_eq!(app.refused("COMMIT").await.code, "UW001");
}

#[tokio::test]
async fn a_missing_key_gets_a_placeholder() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (n) VALUES (1), (2)").await;
    let keys: Vec<String> = app.changes().await.iter().map(|c| Change::fields(&c.new)[0].clone()).collect();
    assert!(keys.iter().all(|key| key.starts_with("pending:")), "{keys:?}");
    assert_ne!(keys[0], keys[1]);
}

/// C7: clients sort by integer keys, so placeholders ascend.
#[tokio::test]
async fn a_missing_integer_key_gets_an_ascending_negative_placeholder() {
    let mut spec = table("ticket", &[("n", "bigint")]);
    spec["columns"][0]["sql_type"] = "bigint".into();
    let database = Database::with(&[spec.clone()]).await;
    let app = database.app().await;
    app.ok("BEGIN; INSERT INTO salesforce.ticket (n) VALUES (1), (2)").await;
    let keys: Vec<i64> = app.changes().await.iter().map(|c| Change::fields(&c.new)[0].parse().unwrap()).collect();
    assert_eq!(keys, [i64::MIN, i64::MIN + 1]);
    spec["name"]["table"] = "short".into();
    spec["columns"][0]["sql_type"] = "varchar(18)".into();
    let refusal = database.superuser().await.refused(&format!("SELECT upwrite.define_table('{spec}')")).await;
    assert_eq!(refusal.code, "0A000", "a placeholder is longer than that");
}

/// A8, as far as capture goes: nothing of it is seen, so the statement simply commits.
#[tokio::test]
async fn a8_a_swallowed_synced_write_leaves_local_effects_once() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("CREATE TABLE audit (what text);
            CREATE FUNCTION tolerant() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO audit VALUES ('once');
                BEGIN
                    INSERT INTO salesforce.contact (n) VALUES (1); RAISE 'no';
                EXCEPTION WHEN OTHERS THEN INSERT INTO audit VALUES ('handled');
                END;
            END $$")
        .await;
    app.ok("BEGIN; SELECT tolerant(); SELECT upwrite.flush()").await;
    assert_eq!(app.changes().await, []);
    app.ok("COMMIT").await;
    assert_eq!(app.one("SELECT string_agg(what, ' ' ORDER BY what) FROM audit").await, "handled once");
}

#[tokio::test]
async fn a15_a_deferred_trigger_that_writes_a_synced_row_is_seen_after_flush() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("CREATE TABLE orders (id int);
            CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO salesforce.contact (id, n) VALUES ('003L', new.id); RETURN null; END $$;
            CREATE CONSTRAINT TRIGGER later AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION later()")
        .await;
    app.ok("BEGIN; INSERT INTO orders VALUES (4)").await;
    assert_eq!(app.changes().await, []);
    app.ok("SELECT upwrite.flush()").await;
    assert_eq!(app.changes().await[0].new.as_deref(), Some("(003L,,,4,,0,)"));
    assert_eq!(app.refused("COMMIT").await.code, "UW001");

    // Run early inside a block that is then rolled back: it runs again at the end, and is seen once.
    app.ok("BEGIN; INSERT INTO orders VALUES (5);
            DO $$ BEGIN SET CONSTRAINTS ALL IMMEDIATE; RAISE 'undo'; EXCEPTION WHEN OTHERS THEN NULL; END $$")
        .await;
    assert_eq!(app.changes().await, []);
    app.ok("SELECT upwrite.flush()").await;
    assert_eq!(app.changes().await.len(), 1);
    assert_eq!(app.refused("COMMIT").await.code, "UW001");
    assert_eq!(app.one("SELECT count(*) FROM orders").await, "0");
}

/// A function may check constraints itself; the proxy's flush still does not meet the veto.
#[tokio::test]
async fn a15_flush_works_after_the_user_s_own_set_constraints() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (n) VALUES (1); SET CONSTRAINTS ALL IMMEDIATE;
            SELECT upwrite.flush(); SELECT upwrite.flush(); INSERT INTO salesforce.contact (n) VALUES (2);
            SELECT upwrite.flush(); SELECT upwrite.flush_synced()")
        .await;
    assert_eq!(app.ops().await, "ii");
    assert_eq!(app.refused("COMMIT").await.code, "UW001");
}

/// Inside a block: what the proxy does around a statement leaves the client's own work committable.
#[tokio::test]
async fn the_rollback_to_a_savepoint_takes_the_veto_with_it() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let app = database.app().await;
    app.ok("CREATE TABLE local (n int)").await;
    app.ok("BEGIN; INSERT INTO local VALUES (1); SET CONSTRAINTS ALL IMMEDIATE;
            SAVEPOINT upwrite_x; UPDATE salesforce.contact SET n = n + 1; SELECT upwrite.flush_synced()")
        .await;
    assert_eq!(app.ops().await, "u");
    app.ok("ROLLBACK TO upwrite_x; RELEASE upwrite_x; INSERT INTO local VALUES (2); COMMIT").await;
    assert_eq!(app.one("SELECT count(*) FROM local").await, "2");
    assert_eq!(app.one("SELECT n FROM salesforce.contact").await, "1");
}

#[tokio::test]
async fn flush_in_a_read_only_transaction_is_harmless() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("BEGIN READ ONLY; SELECT upwrite.flush(); SELECT upwrite.flush_synced()").await;
    assert_eq!(app.session().await["captured"], 0);
    assert_eq!(app.one("SHOW transaction_read_only").await, "on");
    app.ok("COMMIT").await;
}

/// The users' own lastval() is theirs.
#[tokio::test]
async fn capture_draws_from_no_sequence() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("CREATE TABLE local (id serial); INSERT INTO local DEFAULT VALUES;
            BEGIN; INSERT INTO salesforce.contact (n) VALUES (1); SELECT upwrite.flush()")
        .await;
    assert_eq!(app.one("SELECT lastval()").await, "1");
}

#[tokio::test]
async fn ten_thousand_rows_keep_their_order() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (n) SELECT i FROM generate_series(1, 10000) i").await;
    let changes = app.changes().await;
    let numbers: Vec<i64> = changes.iter().map(|c| Change::fields(&c.new)[3].parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=10_000));
    assert_eq!(app.session().await["captured"], 10_000);
}
