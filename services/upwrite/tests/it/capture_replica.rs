//! A3, A4: the reconciler is exempt, and nobody else; TRUNCATE is not a change that can be told.

use std::time::Duration;

use crate::database::{Database, rows, seed, table};

#[tokio::test]
async fn the_reconciler_writes_freely_and_leaves_nothing_captured() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let reconciler = database.reconciler().await;
    reconciler.ok("UPDATE salesforce.contact SET n = 2; DELETE FROM salesforce.contact").await;
    assert_eq!(database.superuser().await.one("SELECT count(*) FROM upwrite.captured").await, "0");
    // Being allowed to act as the reconciler is not being it.
    let root = database.superuser().await;
    let refusal = root.refused("SET ROLE upwrite_reconciler; INSERT INTO salesforce.contact (n) VALUES (1)").await;
    assert_eq!(refusal.code, "UW001");
}

#[tokio::test]
async fn a3_a_local_cascade_with_a_trigger_changes_nothing_when_the_reconciler_deletes() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    seed(&database, "003B", 1).await;
    let app = database.app().await;
    app.ok("CREATE TABLE notes (contact text REFERENCES salesforce.contact ON DELETE CASCADE);
            CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN UPDATE salesforce.contact SET n = 99; RETURN old; END $$;
            CREATE TRIGGER spread AFTER DELETE ON notes FOR EACH ROW EXECUTE FUNCTION spread();
            INSERT INTO notes VALUES ('003A')")
        .await;
    database.reconciler().await.ok("DELETE FROM salesforce.contact WHERE id = '003A'").await;
    assert_eq!(rows(&app).await, "(003B,Seed,,1,,1,)");
    // In a user's transaction it does act, and is captured.
    app.ok("BEGIN; DELETE FROM notes").await;
    assert_eq!(app.ops().await, "u");
}

#[tokio::test]
async fn a3_a_replica_trigger_that_writes_another_synced_table_is_stopped() {
    let database = Database::with(&[table("account", &[("n", "bigint")])]).await;
    let root = database.superuser().await;
    root.ok("CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO salesforce.account (id) VALUES ('001'); RETURN new; END $$;
             CREATE TRIGGER spread AFTER INSERT ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION spread();
             ALTER TABLE salesforce.contact ENABLE REPLICA TRIGGER spread")
        .await;
    let reconciler = database.reconciler().await;
    let refusal = reconciler.refused("INSERT INTO salesforce.contact (id) VALUES ('003A')").await;
    assert_eq!(refusal.code, "UW001");
    assert!(refusal.hint.contains("ordinary trigger"), "{refusal:?}");
    assert_eq!(root.one("SELECT count(*) FROM salesforce.account").await, "0");
    // An ordinary one acts at capture only.
    root.ok("ALTER TABLE salesforce.contact ENABLE TRIGGER spread").await;
    reconciler.ok("INSERT INTO salesforce.contact (id) VALUES ('003A')").await;
    assert_eq!(root.one("SELECT count(*) FROM salesforce.account").await, "0");
    root.ok("BEGIN; INSERT INTO salesforce.contact (id) VALUES ('003B')").await;
    assert_eq!(root.ops().await.len(), 2);
}

#[tokio::test]
async fn a4_truncate_is_refused_in_every_way() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let root = database.superuser().await;
    root.ok("CREATE TABLE parents (id text PRIMARY KEY); CREATE TABLE grown (id text) PARTITION BY LIST (id);
             ALTER TABLE salesforce.contact ADD FOREIGN KEY (last_name) REFERENCES parents NOT VALID")
        .await;
    for sql in [
        "TRUNCATE salesforce.contact",
        "TRUNCATE parents CASCADE",
        "SET session_replication_role = replica; TRUNCATE salesforce.contact",
    ] {
        let refusal = root.refused(sql).await;
        assert_eq!((refusal.code.as_str(), refusal.hint.as_str()), ("0A000", "Use DELETE."), "{sql}");
        root.ok("RESET session_replication_role").await;
    }
    let refusal = root.refused("SET session_replication_role = replica; DELETE FROM salesforce.contact").await;
    assert_eq!(refusal.code, "UW001");
    assert_eq!(root.one("SELECT count(*) FROM salesforce.contact").await, "1");
}

/// Dead rows of dry runs: only an owner may clear them away, and the reconciler may act as the owner for that.
#[tokio::test]
async fn a20_the_reconciler_can_vacuum_what_dry_runs_leave() {
    let database = Database::new().await;
    let app = database.app().await;
    for _ in 0..5 {
        app.ok("BEGIN; INSERT INTO salesforce.contact (n) SELECT i FROM generate_series(1, 1000) i; ROLLBACK").await;
    }
    let reconciler = database.reconciler().await;
    assert_eq!(reconciler.refused("SELECT FROM upwrite.captured").await.code, "42501");
    let sizes = "SELECT pg_relation_size(c) FROM unnest(array[
                     'upwrite.captured'::regclass, 'upwrite.armed'::regclass, 'salesforce.contact'::regclass]) c
                 ORDER BY 1 DESC";
    reconciler.ok("SET ROLE upwrite_owner").await;
    assert_ne!(reconciler.one(sizes).await, "0");
    // Another database's snapshot does not hold it back, another session's of this one may, for an instant.
    upwrite_testkit::until(Duration::from_secs(30), "VACUUM to clear everything away", async || {
        reconciler.ok("VACUUM upwrite.captured, upwrite.armed, salesforce.contact").await;
        (reconciler.one(sizes).await == "0").then_some(())
    })
    .await;
    reconciler.ok("RESET ROLE; INSERT INTO salesforce.contact (id) VALUES ('003A')").await;
}
