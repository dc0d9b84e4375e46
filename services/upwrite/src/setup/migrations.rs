//! The files of `schemas/sql`, compiled in. Each is run once, in its own transaction, and recorded with its checksum; a
//! file that was run never changes.

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use super::plan::{SetupError, SetupReport, at};

/// Idempotent, run every time.
pub(super) const ROLES: &str = include_str!("../../../../schemas/sql/roles.sql");

const FILES: [(&str, &str); 7] = [
    ("0001_schema", include_str!("../../../../schemas/sql/0001_schema.sql")),
    ("0002_log", include_str!("../../../../schemas/sql/0002_log.sql")),
    ("0003_capture", include_str!("../../../../schemas/sql/0003_capture.sql")),
    ("0004_client", include_str!("../../../../schemas/sql/0004_client.sql")),
    ("0005_tables", include_str!("../../../../schemas/sql/0005_tables.sql")),
    ("0006_processes", include_str!("../../../../schemas/sql/0006_processes.sql")),
    ("0007_batches", include_str!("../../../../schemas/sql/0007_batches.sql")),
];

const RECORD: &str = "/* setup.migrations */
    CREATE TABLE IF NOT EXISTS upwrite.migrations (
        file        text PRIMARY KEY,
        sha256      text NOT NULL,
        applied_at  timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE upwrite.migrations OWNER TO upwrite_owner;
    GRANT SELECT ON upwrite.migrations TO upwrite_service, upwrite_monitor;";

/// Runs what is missing.
pub(super) async fn migrate(connection: &mut PgConnection, report: &mut SetupReport) -> Result<(), SetupError> {
    let applied = applied(connection).await?;
    if let Some((unknown, _)) = applied.iter().find(|(file, _)| !FILES.iter().any(|(known, _)| known == file)) {
        return Err(SetupError::MigrationUnknown(unknown.clone()));
    }
    for (file, sql) in FILES {
        let compiled = checksum(sql);
        match applied.iter().find(|(name, _)| name == file) {
            Some((_, recorded)) if *recorded == compiled => {
                report.unchanged.push(format!("migration {file}"));
            }
            Some((_, recorded)) => {
                let recorded = recorded.clone();
                return Err(SetupError::MigrationChanged { file: file.to_owned(), recorded, compiled });
            }
            None => {
                run(connection, file, sql, &compiled).await.map_err(at("migrations"))?;
                report.done.push(format!("ran migration {file}"));
            }
        }
    }
    Ok(())
}

async fn run(connection: &mut PgConnection, file: &str, sql: &'static str, checksum: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute(sqlx::raw_sql(sql)).await?;
    // That the table is there already is no news.
    transaction.execute("SET LOCAL client_min_messages = warning").await?;
    transaction.execute(sqlx::raw_sql(RECORD)).await?;
    sqlx::query("/* setup.record_migration */ INSERT INTO upwrite.migrations (file, sha256) VALUES ($1, $2)")
        .bind(file)
        .bind(checksum)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(String, String)>, SetupError> {
    let step = "reading the migrations";
    let exists: bool =
        sqlx::query_scalar("/* setup.has_migrations */ SELECT to_regclass('upwrite.migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(at(step))?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("/* setup.applied */ SELECT file, sha256 FROM upwrite.migrations ORDER BY file")
        .fetch_all(connection)
        .await
        .map_err(at(step))?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>().map_err(at(step))
}

fn checksum(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::FILES;

    /// Tests install the schema from the folder, setup from what is compiled in: they must be the same files.
    #[test]
    fn every_file_of_the_folder_is_compiled_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/sql");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
            .filter(|name| name != "roles")
            .collect();
        names.sort();
        assert_eq!(names, FILES.map(|(name, _)| name.to_owned()));
    }
}
