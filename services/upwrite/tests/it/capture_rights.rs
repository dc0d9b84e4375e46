//! What users may not see, not call, and not make Upwrite's functions do.

use crate::database::{Database, SECRET, seed};

/// Types, functions and tables that an attacker puts where unqualified names might be looked up.
const SHADOWS: &str = "
    CREATE FUNCTION pg_temp.leak(anyelement) RETURNS bool LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.leaks VALUES (current_user); RETURN true; END $$;
    DO $do$ DECLARE t text; BEGIN
        FOREACH t IN ARRAY array['bytea','text','int8','bigint','xid8','oid','name','json','timestamptz','interval','int4',
                                 'bool','regclass','float8','uuid'] LOOP
            EXECUTE format('CREATE DOMAIN pg_temp.%I AS pg_catalog.%I CHECK (pg_temp.leak(value::pg_catalog.text))', t,
                           CASE t WHEN 'bigint' THEN 'int8' ELSE t END);
        END LOOP;
    END $do$;
    CREATE TEMPORARY TABLE captured (xid pg_catalog.xid8, n int); CREATE TEMPORARY TABLE armed (xid pg_catalog.xid8);
    CREATE FUNCTION public.convert_to(pg_catalog.text, pg_catalog.name) RETURNS pg_catalog.bytea LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.leaks VALUES (current_user); RETURN 'x'; END $$;
    CREATE FUNCTION public.eq(pg_catalog.xid8, pg_catalog.xid8) RETURNS pg_catalog.bool LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.leaks VALUES (current_user); RETURN true; END $$;
    CREATE OPERATOR public.= (LEFTARG = pg_catalog.xid8, RIGHTARG = pg_catalog.xid8, FUNCTION = public.eq);
    SET search_path = pg_temp, public, pg_catalog";

#[tokio::test]
async fn a1_user_code_never_runs_as_upwrite() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    database.superuser().await.ok("CREATE TABLE public.leaks (who name); GRANT ALL ON public.leaks TO PUBLIC").await;
    let app = database.app().await;
    app.ok(SHADOWS).await;
    app.ok("BEGIN; UPDATE salesforce.contact SET n = 2; SELECT upwrite.flush(); SELECT upwrite.flush_synced();
            SELECT upwrite.mark(); SELECT upwrite.await('00000000-0000-0000-0000-000000000000', '1ms')")
        .await;
    let rows = app.client.query("SELECT old FROM upwrite.dry_run($1::pg_catalog.text)", &[&SECRET]).await.unwrap();
    assert_eq!(rows[1].get::<_, Vec<u8>>(0), b"(003A,Seed,,1,,1,)");
    let leaks = app.maybe("SELECT string_agg(DISTINCT who::pg_catalog.text, ' ') FROM public.leaks").await;
    assert!(leaks.as_deref().is_none_or(|who| who == database.user), "ran as {leaks:?}");
    assert_eq!(app.refused("SET CONSTRAINTS ALL IMMEDIATE; COMMIT").await.code, "UW001");
}

#[tokio::test]
async fn nobody_reads_changes_without_the_connection_s_secret() {
    let database = Database::new().await;
    let (app, other) = (database.app().await, database.app().await);
    let pid = other.one("SELECT pg_backend_pid()").await;
    let service = database.service().await;
    service.ok(&format!("SELECT upwrite.register({pid}, sha256('another secret'))")).await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (n) VALUES (1)").await;
    for guess in ["''", "null", "'another secret'"] {
        app.ok("SAVEPOINT s").await;
        assert_eq!(app.refused(&format!("SELECT upwrite.dry_run({guess})")).await.code, "42501", "{guess}");
        app.ok("ROLLBACK TO s").await;
    }
    assert_eq!(app.ops().await, "i");
    app.ok("ROLLBACK").await;
    let pid = app.one("SELECT pg_backend_pid()").await;
    service.ok(&format!("SELECT upwrite.forget({pid})")).await;
    assert_eq!(app.refused(&format!("SELECT upwrite.dry_run('{SECRET}')")).await.code, "42501");
    assert_eq!(service.refused("SELECT upwrite.register(1, 'short')").await.code, "22023");
}

#[tokio::test]
async fn changes_are_those_of_the_own_transaction() {
    let database = Database::new().await;
    let (a, b) = (database.app().await, database.app().await);
    a.ok("BEGIN; INSERT INTO salesforce.contact (n) VALUES (1)").await;
    b.ok("BEGIN; INSERT INTO salesforce.contact (n) VALUES (2), (3)").await;
    assert_eq!((a.ops().await, b.ops().await), ("i".to_owned(), "ii".to_owned()));
}

#[tokio::test]
async fn users_cannot_read_or_call_what_is_upwrite_s_own() {
    let database = Database::new().await;
    let app = database.app().await;
    for table in ["captured", "armed", "secrets", "claims", "parked", "log", "records", "deployment"] {
        assert_eq!(app.refused(&format!("SELECT * FROM upwrite.{table}")).await.code, "42501", "{table}");
    }
    for sql in [
        "UPDATE upwrite.armed SET grace = true",
        "DELETE FROM upwrite.captured",
        "SELECT spec FROM upwrite.tables",
        "INSERT INTO upwrite.mutations (id) VALUES (gen_random_uuid())",
        "SELECT upwrite.register(1, null)",
        "SELECT upwrite.auth('postgres')",
        "SELECT upwrite.versions('salesforce.contact'::regclass, '{}')",
        "SELECT upwrite.define_table('{}')",
        "SELECT upwrite.grant_table('salesforce.contact', current_user, '{select}')",
        "SELECT upwrite.check_secret('x')",
        "CREATE TABLE upwrite.mine ()",
        "CREATE TRIGGER t AFTER INSERT ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "ALTER TABLE salesforce.contact DISABLE TRIGGER ALL",
        "ALTER TABLE salesforce.contact ENABLE REPLICA TRIGGER upwrite_capture",
        "DROP TRIGGER upwrite_capture ON salesforce.contact",
        "SET session_replication_role = replica",
        "SET ROLE upwrite_owner",
        "SET SESSION AUTHORIZATION upwrite_reconciler",
        "TRUNCATE salesforce.contact",
        "CREATE TRIGGER t BEFORE INSERT ON upwrite.captured FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ] {
        assert_eq!(app.refused(sql).await.code, "42501", "{sql}");
    }
}

#[tokio::test]
async fn verifiers_go_to_the_service_only_and_never_our_own() {
    let database = Database::new().await;
    let service = database.service().await;
    let verifier = service.one(&format!("SELECT upwrite.auth('{}')", database.user)).await;
    assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
    for name in ["upwrite_service", "upwrite_reconciler", "upwrite_owner", "nobody", "pg_monitor"] {
        assert_eq!(service.maybe(&format!("SELECT upwrite.auth('{name}')")).await, None, "{name}");
    }
    let root = database.superuser().await;
    root.ok(&format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", database.user)).await;
    assert_eq!(service.maybe(&format!("SELECT upwrite.auth('{}')", database.user)).await, None);
    assert_eq!(service.refused("SELECT rolpassword FROM pg_authid").await.code, "42501");
    assert_eq!(service.refused("INSERT INTO salesforce.contact (n) VALUES (1)").await.code, "42501");
}

#[tokio::test]
async fn a18_privileges_and_row_security_play_no_part_in_capture_and_version_check() {
    let database = Database::new().await;
    seed(&database, "003A", 1).await;
    let root = database.superuser().await;
    let user = &database.user;
    root.ok(&format!(
        "REVOKE ALL ON salesforce.contact FROM {user}; GRANT INSERT ON salesforce.contact TO {user};
         ALTER TABLE salesforce.contact ADD COLUMN number int GENERATED ALWAYS AS IDENTITY,
             ADD COLUMN twice bigint GENERATED ALWAYS AS (n * 2) STORED;
         ALTER TABLE salesforce.contact ENABLE ROW LEVEL SECURITY;
         CREATE POLICY inserts ON salesforce.contact FOR INSERT WITH CHECK (n < 100)"
    ))
    .await;
    let app = database.app().await;
    app.ok("BEGIN; INSERT INTO salesforce.contact (id, n) VALUES ('003B', 21); SELECT upwrite.flush()").await;
    assert_eq!(app.changes().await[0].new.as_deref(), Some("(003B,,,21,,0,,2,42)"));
    app.ok("ROLLBACK").await;
    assert_eq!(app.refused("SELECT n FROM salesforce.contact").await.code, "42501");
    assert_eq!(app.refused("INSERT INTO salesforce.contact (n) VALUES (100)").await.code, "42501");
    let versions = "SELECT string_agg(v::text, ' ' ORDER BY v) FROM upwrite.versions(
                        (SELECT relation FROM upwrite.tables), '{003A,003Z}') v";
    assert_eq!(database.service().await.one(versions).await, "(003A,1)");
    let reconciler = database.reconciler().await;
    reconciler
        .ok("INSERT INTO salesforce.contact (id, n, number) OVERRIDING SYSTEM VALUE VALUES ('003C', 500, 7);
             UPDATE salesforce.contact SET _version = _version + 1")
        .await;
    assert_eq!(database.service().await.one(versions).await, "(003A,2)");
    let unknown = database.service().await.refused("SELECT upwrite.versions('pg_class'::regclass, '{}')").await;
    assert_eq!(unknown.code, "42P01");
}
