//! The check at start finds what breaks a promise.

use sqlx::PgPool;
use upwrite::setup::{Severity, check};

use crate::database::{Database, contact};

async fn findings(database: &Database) -> Vec<(Severity, String)> {
    let pool = PgPool::connect(&database.url("upwrite_service", "service")).await.expect("the service logs in");
    let found = check(&pool).await.expect("the check runs with the service's rights");
    // Roles belong to the cluster, which other tests share.
    let here = |message: &String| !message.contains("CREATEROLE");
    found.into_iter().map(|finding| (finding.severity, finding.message)).filter(|(_, message)| here(message)).collect()
}

#[tokio::test]
async fn a_database_as_set_up_is_well() {
    assert_eq!(findings(&Database::new().await).await, []);
}

#[tokio::test]
async fn every_fault_is_found() {
    let database = Database::new().await;
    let root = database.superuser().await;
    for (broken, mended, expected) in [
        (
            "ALTER TABLE salesforce.contact ENABLE TRIGGER upwrite_capture",
            "ALTER TABLE salesforce.contact ENABLE ALWAYS TRIGGER upwrite_capture",
            "trigger upwrite_capture of synced table salesforce.contact is not ENABLE ALWAYS",
        ),
        (
            "ALTER TABLE salesforce.contact OWNER TO postgres",
            "ALTER TABLE salesforce.contact OWNER TO upwrite_owner",
            "synced table salesforce.contact does not belong to upwrite_owner",
        ),
        (
            "GRANT TRIGGER ON salesforce.contact TO PUBLIC",
            "REVOKE TRIGGER ON salesforce.contact FROM PUBLIC",
            "PUBLIC has privilege TRIGGER on synced table salesforce.contact",
        ),
        (
            "GRANT SELECT ON upwrite.captured TO PUBLIC",
            "REVOKE SELECT ON upwrite.captured FROM PUBLIC",
            "PUBLIC has privilege SELECT on upwrite.captured",
        ),
        (
            "ALTER TABLE upwrite.armed DISABLE TRIGGER veto",
            "ALTER TABLE upwrite.armed ENABLE ALWAYS TRIGGER veto",
            "the trigger that refuses changes made around Upwrite (upwrite.veto) is missing or not as it was",
        ),
        (
            "ALTER FUNCTION upwrite.capture() RESET search_path",
            "ALTER FUNCTION upwrite.capture() SET search_path = pg_catalog, pg_temp",
            "function upwrite.capture() runs with its owner's rights, but without a fixed search_path",
        ),
        (
            "ALTER TABLE salesforce.contact FORCE ROW LEVEL SECURITY",
            "ALTER TABLE salesforce.contact NO FORCE ROW LEVEL SECURITY",
            "row security is forced on synced table salesforce.contact",
        ),
        (
            "CREATE TABLE heir () INHERITS (salesforce.contact)",
            "DROP TABLE heir",
            "synced table salesforce.contact takes part in inheritance",
        ),
        (
            "ALTER ROLE upwrite_service SET track_counts = off",
            "ALTER ROLE upwrite_service RESET track_counts",
            "track_counts is off",
        ),
    ] {
        // The setting belongs to the role, hence to the cluster that other tests share: here for this database only.
        let here = |sql: &str| match sql.strip_prefix("ALTER ROLE upwrite_service ") {
            Some(rest) => format!(
                "DO $$ BEGIN EXECUTE format('ALTER ROLE upwrite_service IN DATABASE %I {rest}', current_database()); END $$"
            ),
            None => sql.to_owned(),
        };
        root.ok(&here(broken)).await;
        assert_eq!(findings(&database).await, [(Severity::Error, expected.to_owned())], "{broken}");
        root.ok(&here(mended)).await;
    }
    assert_eq!(findings(&database).await, []);
    root.ok("DROP TABLE salesforce.contact").await;
    assert_eq!(findings(&database).await, [(Severity::Error, "synced table salesforce.contact is gone".to_owned())]);
}

#[tokio::test]
async fn a11_a_deferrable_unique_constraint_is_noticed_and_refused() {
    let database = Database::new().await;
    let root = database.superuser().await;
    root.ok("ALTER TABLE salesforce.contact ADD CONSTRAINT later UNIQUE (n) DEFERRABLE").await;
    let expected = "synced table salesforce.contact has a deferrable unique constraint";
    assert_eq!(findings(&database).await, [(Severity::Error, expected.to_owned())]);
    let define = format!("SELECT upwrite.define_table('{}')", contact());
    let refusal = root.refused(&define).await;
    assert_eq!(refusal.code, "0A000");
    assert!(refusal.message.contains("deferrable unique constraint"), "{refusal:?}");
    // Tables that are there already and not ours, or not plain.
    for (name, make) in [
        (
            "parted",
            "CREATE TABLE salesforce.parted (id text) PARTITION BY LIST (id); ALTER TABLE salesforce.parted OWNER TO upwrite_owner",
        ),
        ("foreign_one", "CREATE TABLE salesforce.foreign_one (id text PRIMARY KEY)"),
        (
            "viewed",
            "CREATE VIEW salesforce.viewed AS SELECT 1 AS id; ALTER VIEW salesforce.viewed OWNER TO upwrite_owner",
        ),
    ] {
        root.ok(make).await;
        let mut spec = contact();
        spec["name"]["table"] = name.into();
        assert_eq!(root.refused(&format!("SELECT upwrite.define_table('{spec}')")).await.code, "0A000", "{name}");
    }
}

#[tokio::test]
async fn a_spec_cannot_smuggle_sql() {
    let database = Database::new().await;
    let root = database.superuser().await;
    for sql_type in
        ["text); DROP TABLE upwrite.log; --", "text default upwrite.evil()", "no_such_type", "text NOT NULL"]
    {
        let mut spec = contact();
        spec["name"]["table"] = "smuggled".into();
        spec["columns"][1]["sql_type"] = sql_type.into();
        let refusal = root.refused(&format!("SELECT upwrite.define_table('{spec}')")).await;
        assert!(["42601", "42704"].contains(&refusal.code.as_str()), "{sql_type}: {refusal:?}");
    }
    for schema in ["upwrite", "public", "pg_catalog"] {
        let mut spec = contact();
        spec["name"]["source"] = schema.into();
        assert_eq!(root.refused(&format!("SELECT upwrite.define_table('{spec}')")).await.code, "22023", "{schema}");
    }
}

#[tokio::test]
async fn a21_a_role_that_can_create_roles_is_warned_of() {
    let database = Database::new().await;
    let root = database.superuser().await;
    if root.one("SELECT current_setting('server_version_num')::int >= 160000").await == "t" {
        return; // there it cannot grant itself what it has no admin option on
    }
    let name = format!("maker_{}", database.user);
    root.ok(&format!("CREATE ROLE {name} LOGIN CREATEROLE")).await;
    let pool = PgPool::connect(&database.url("upwrite_service", "service")).await.expect("the service logs in");
    let found = check(&pool).await.expect("the check runs");
    root.ok(&format!("DROP ROLE {name}")).await;
    let warned = found.iter().find(|finding| finding.message.contains(&name)).expect("found");
    assert_eq!(warned.severity, Severity::Warning);
}
