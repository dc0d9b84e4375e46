//! Dry runs leave dead rows. Autovacuum looks once a minute; under load that is thousands of dead rows too late.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::error::{ReconcilerError, doing};

/// How often dead rows are counted.
const PERIOD: Duration = Duration::from_secs(5);
/// A relation with fewer dead rows is left to autovacuum.
const MANY_DEAD_ROWS: i64 = 1_000;

/// Vacuums until dropped. A failure is logged, and the next round tries again.
pub(crate) async fn keep_vacuumed(options: PgConnectOptions) {
    loop {
        if let Err(error) = rounds(&options).await {
            tracing::debug!(%error, "vacuuming is tried again");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn rounds(options: &PgConnectOptions) -> Result<(), ReconcilerError> {
    let options = options.clone().application_name("upwrite vacuum").options([("lock_timeout", "100ms")]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(doing("connecting to vacuum"))?;
    // Only an owner may vacuum before PostgreSQL 17.
    sqlx::query("set role upwrite_owner").execute(&mut connection).await.map_err(doing("becoming the owner"))?;
    loop {
        for relation in with_many_dead_rows(&mut connection).await? {
            let sql = format!("/* reconciler.vacuum */ vacuum (skip_locked) {relation}");
            sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(doing("vacuuming"))?;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Quoted names.
async fn with_many_dead_rows(connection: &mut PgConnection) -> Result<Vec<String>, ReconcilerError> {
    let rows = sqlx::query(
        "/* reconciler.dead_rows */
         select format('%I.%I', schemaname, relname) from pg_stat_all_tables
          where n_dead_tup >= $1 and (schemaname = 'upwrite' or relid in (select relation from upwrite.tables))",
    )
    .bind(MANY_DEAD_ROWS)
    .fetch_all(connection)
    .await
    .map_err(doing("counting dead rows"))?;
    rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(doing("counting dead rows"))
}
