//! Schema "upwrite" in a test's database, without the executable: the files of `schemas/sql` in their order, as
//! `upwrite setup` runs them.

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::binary::workspace_root;

/// The password of `upwrite_service` in test clusters.
pub const SERVICE_PASSWORD: &str = "service";

/// The password of `upwrite_reconciler` in test clusters.
pub const RECONCILER_PASSWORD: &str = "reconciler";

/// Installs everything into the database of `superuser_url`: roles (with the passwords above), schema, the synced tables
/// of `tables` (each an `events::TableSpec` as JSON), the deployment's row, and `partitions` log partitions for each
/// stream.
pub async fn install(superuser_url: &str, tables: &[impl AsRef<str>], partitions: u16) {
    let mut connection = migrate(superuser_url).await;
    for table in tables {
        sqlx::query("/* testkit.define_table */ select upwrite.define_table($1::text::jsonb)")
            .bind(table.as_ref())
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("define_table: {error}"));
    }
    let deployment = format!(
        "/* testkit.deployment */ insert into upwrite.deployment
             (deployment, system_identifier, log_engine, partitions)
         select gen_random_uuid(), system_identifier::text, 'postgres', {partitions} from pg_control_system();
         select upwrite.open_log()"
    );
    run(&mut connection, deployment, "deployment").await;
    let _ = connection.close().await;
}

/// Roles with their passwords, and schema "upwrite": for those who make the rest themselves. Returns the superuser's
/// connection.
pub async fn migrate(superuser_url: &str) -> PgConnection {
    let mut connection = connect(superuser_url).await;
    let mut files = files().into_iter();
    // In a transaction of its own: it locks the roles of the cluster.
    for (name, sql) in files.by_ref().take(1) {
        run(&mut connection, sql, &name).await;
    }
    run(&mut connection, "begin".to_owned(), "begin").await;
    for (name, sql) in files {
        // As setup does: everything in the folders belongs to the owner.
        let sql = if name.contains('/') { format!("set local role upwrite_owner; {sql} reset role;") } else { sql };
        run(&mut connection, sql, &name).await;
    }
    run(&mut connection, "commit".to_owned(), "commit").await;
    for (role, password) in [("upwrite_service", SERVICE_PASSWORD), ("upwrite_reconciler", RECONCILER_PASSWORD)] {
        set_password(&mut connection, role, password).await;
    }
    connection
}

/// SQL that lets a superuser change a synced table past capture. [`guarded`] takes it back.
pub fn unguarded(relation: &str) -> String {
    format!("alter table {relation} disable trigger all;")
}

/// SQL that puts Upwrite's triggers of a synced table to work again.
pub fn guarded(relation: &str) -> String {
    let triggers = ["upwrite_capture", "upwrite_nested", "upwrite_truncate"];
    triggers.map(|trigger| format!("alter table {relation} enable always trigger {trigger};")).concat()
}

/// A login role with a fresh name that may read and write the given synced tables (`schema.table`), and make tables of
/// its own in schema public. Returns its name and password.
pub async fn create_user(superuser_url: &str, tables: &[&str]) -> (String, String) {
    let mut connection = connect(superuser_url).await;
    let name = format!("app_{}", uuid::Uuid::new_v4().simple());
    let password = "secret".to_owned();
    let mut sql = format!(
        "/* testkit.create_user */ create role {name} login password '{password}';
         grant usage, create on schema public to {name};"
    );
    for table in tables {
        sql +=
            &format!("select upwrite.grant_table('{table}', '{name}', '{{select,insert,update,delete,references}}');");
    }
    run(&mut connection, sql, "create_user").await;
    let _ = connection.close().await;
    (name, password)
}

/// Names, as setup records them, and texts of all files in the order in which setup runs them.
///
/// # Panics
///
/// If the folder of the checkout cannot be read.
pub fn files() -> Vec<(String, String)> {
    let mut names = vec!["roles".to_owned(), "schema".to_owned()];
    let root = workspace_root().join("schemas/sql");
    for folder in ["tables", "functions", "rights"] {
        let path = root.join(folder);
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let entries = entries.map(|entry| entry.expect("a readable folder").file_name());
        let mut stems: Vec<String> =
            entries.filter_map(|name| Some(name.to_str()?.strip_suffix(".sql")?.to_owned())).collect();
        stems.sort();
        names.extend(stems.iter().map(|stem| format!("{folder}/{stem}")));
    }
    let read = |name: String| {
        let sql = std::fs::read_to_string(root.join(format!("{name}.sql")));
        (name.clone(), sql.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    names.into_iter().map(read).collect()
}

/// Once for each cluster: roles are common to all its databases.
async fn set_password(connection: &mut PgConnection, role: &str, password: &str) {
    let sql = format!(
        "/* testkit.set_password */ do $$ begin
             lock table pg_authid in share row exclusive mode;
             if exists (select from pg_authid where rolname = '{role}' and rolpassword is null) then
                 alter role {role} password '{password}';
             end if;
         end $$"
    );
    run(connection, sql, "set_password").await;
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|error| panic!("connecting as the superuser: {error}"))
}

/// One simple query: several statements run in one transaction.
async fn run(connection: &mut PgConnection, sql: String, what: &str) {
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap_or_else(|error| panic!("{what}: {error}"));
}
