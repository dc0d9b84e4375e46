//! A5, A6: what tells the proxy that a statement also wrote something that is not synced.

use serde_json::Value;

use crate::database::{Database, Session, seed};

/// The locks that mean writing on tables that are not synced: `name mode`.
fn foreign(answer: &Value) -> Vec<String> {
    let locks = answer["locks"].as_array().expect("locks").iter();
    let text = |lock: &Value| format!("{} {}", lock["name"].as_str().unwrap(), lock["mode"].as_str().unwrap());
    locks.filter(|lock| lock["synced"] == false).map(text).collect()
}

async fn tables(app: &Session) {
    app.ok("CREATE TABLE audit (what text); CREATE TABLE other (what text);
            CREATE FUNCTION logs() RETURNS text LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO audit VALUES ('f'); RETURN 'Logged'; END $$;
            CREATE FUNCTION truncates() RETURNS text LANGUAGE plpgsql AS
                $$ BEGIN TRUNCATE other; RETURN 'Truncated'; END $$;
            CREATE FUNCTION makes() RETURNS text LANGUAGE plpgsql AS
                $$ BEGIN CREATE TABLE made (n int); RETURN 'Made'; END $$;
            CREATE FUNCTION looks() RETURNS text LANGUAGE plpgsql AS
                $$ BEGIN PERFORM FROM audit FOR UPDATE; RETURN 'Looked'; END $$;
            CREATE FUNCTION trigger_synced() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO salesforce.contact (last_name) VALUES (new.what); RETURN new; END $$;
            CREATE TABLE parent (what text);
            CREATE TRIGGER t AFTER INSERT ON parent FOR EACH ROW EXECUTE FUNCTION trigger_synced();
            CREATE VIEW simple AS SELECT id, last_name FROM salesforce.contact;
            CREATE VIEW clever AS SELECT 1 AS n;
            CREATE FUNCTION clever_insert() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO salesforce.contact (last_name) VALUES ('c');
                         INSERT INTO other VALUES ('c'); RETURN new; END $$;
            CREATE TRIGGER t INSTEAD OF INSERT ON clever FOR EACH ROW EXECUTE FUNCTION clever_insert()")
        .await;
}

#[tokio::test]
async fn a5_a_statement_that_also_writes_locally_is_seen_to_do_so() {
    let database = Database::new().await;
    let app = database.app().await;
    tables(&app).await;
    let insert = |value: &str| format!("INSERT INTO salesforce.contact (last_name) VALUES ({value})");
    for (sql, expected) in [
        (insert("'x'"), vec![]),
        (insert("looks()"), vec![]),
        ("INSERT INTO simple (last_name) VALUES ('x')".to_owned(), vec![]),
        (insert("logs()"), vec!["public.audit RowExclusiveLock"]),
        (insert("truncates()"), vec!["public.other AccessExclusiveLock", "public.other ShareLock"]),
        (insert("makes()"), vec!["public.made AccessExclusiveLock"]),
        ("INSERT INTO parent VALUES ('x')".to_owned(), vec!["public.parent RowExclusiveLock"]),
        ("INSERT INTO clever VALUES (1)".to_owned(), vec!["public.other RowExclusiveLock"]),
        (
            insert("lo_create(0)::text || lo_put(lo_create(0), 0, 'x')::text"),
            vec!["pg_catalog.pg_largeobject RowExclusiveLock"],
        ),
    ] {
        app.ok(&format!("BEGIN; {sql}; SELECT upwrite.flush()")).await;
        let session = app.session().await;
        assert_eq!(session["captured"], 1, "{sql}");
        assert_eq!(foreign(&session), expected, "{sql}");
        app.ok("ROLLBACK").await;
    }
}

#[tokio::test]
async fn a5_a_local_parent_that_cascades_to_a_synced_child() {
    let database = Database::new().await;
    database
        .superuser()
        .await
        .ok("CREATE TABLE owners (id text PRIMARY KEY); INSERT INTO owners VALUES ('o');
             GRANT ALL ON owners TO PUBLIC;
             GRANT REFERENCES ON owners TO upwrite_owner;
             ALTER TABLE salesforce.contact ADD FOREIGN KEY (last_name) REFERENCES owners ON DELETE CASCADE")
        .await;
    let sql = "INSERT INTO salesforce.contact (id, last_name) VALUES ('003A', 'o')";
    database.reconciler().await.ok(sql).await;
    let app = database.app().await;
    app.ok("BEGIN; DELETE FROM owners; SELECT upwrite.flush()").await;
    assert_eq!(app.ops().await, "d");
    assert_eq!(foreign(&app.session().await), ["public.owners RowExclusiveLock"]);
}

/// Inside a client's transaction the lock may be older than the statement: then the counters grow.
#[tokio::test]
async fn a5_growth_tells_within_a_transaction_that_had_the_lock() {
    let database = Database::new().await;
    let app = database.app().await;
    tables(&app).await;
    app.ok("BEGIN; INSERT INTO audit VALUES ('own'); SAVEPOINT s").await;
    let before = app.mark().await;
    assert_eq!(before["locks"][0]["tuples"], serde_json::json!([1, 0, 0]));
    app.ok("INSERT INTO salesforce.contact (last_name) VALUES ('x'); SELECT upwrite.flush_synced()").await;
    let clean = app.session().await;
    let audit = |answer: &Value| {
        let locks = answer["locks"].as_array().unwrap().iter();
        locks.clone().find(|lock| lock["name"] == "public.audit").expect("locked")["tuples"].clone()
    };
    assert_eq!(audit(&clean), audit(&before));
    app.ok("ROLLBACK TO s; INSERT INTO salesforce.contact (last_name) VALUES (logs())").await;
    assert_ne!(audit(&app.session().await), audit(&before));
}

#[tokio::test]
async fn a6_what_an_earlier_transaction_wrote_does_not_count() {
    let database = Database::new().await;
    let app = database.app().await;
    tables(&app).await;
    app.ok("INSERT INTO audit VALUES ('earlier')").await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (last_name) SELECT what FROM audit; SELECT upwrite.flush()").await;
    let session = app.session().await;
    assert_eq!((foreign(&session), session["captured"].as_i64()), (vec![], Some(1)));
}

/// Row locks that the client holds on synced rows would stand in the reconciler's way.
#[tokio::test]
async fn row_locks_on_synced_tables_are_told() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let app = database.app().await;
    app.ok("BEGIN; SELECT FROM salesforce.contact FOR UPDATE").await;
    let mark = app.mark().await;
    assert_eq!(mark["locks"][0]["name"], "salesforce.contact");
    assert_eq!((&mark["locks"][0]["mode"], &mark["locks"][0]["synced"]), (&"RowShareLock".into(), &true.into()));
}

#[tokio::test]
async fn the_session_tells_its_settings() {
    let database = Database::new().await;
    let app = database.app().await;
    app.ok("SET statement_timeout = '90s'; SET lock_timeout = '1500ms'; SET upwrite.ack = 'applied';
            SET application_name = 'tests'; BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await;
    let session = app.session().await;
    assert_eq!(
        (app.one("SELECT current_user").await, &session["session_user"]),
        (database.user.clone(), &database.user.as_str().into())
    );
    assert_eq!((&session["statement_timeout_ms"], &session["lock_timeout_ms"]), (&90_000.into(), &1_500.into()));
    assert_eq!(
        (&session["settings"]["upwrite.ack"], &session["settings"]["upwrite.apply"]),
        (&"applied".into(), &Value::Null)
    );
    assert_eq!((&session["application_name"], &session["isolation"]), (&"tests".into(), &"repeatable read".into()));
    assert_eq!(app.maybe("SELECT pg_current_xact_id_if_assigned()").await, None);
    assert_eq!(session["captured"], 0);
}
