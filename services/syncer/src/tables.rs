//! The synced tables of a source that are not backfilled yet.

use sqlx::types::Json;
use sqlx::{PgPool, Row as _};
use upwrite_events::TableSpec;

use crate::error::{SyncerError, doing};

pub(crate) async fn unfinished(pool: &PgPool, source: &str) -> Result<Vec<TableSpec>, SyncerError> {
    let rows = sqlx::query(
        "/* syncer.unfinished */ select spec from upwrite.tables where source = $1 and backfilled_at is null
          order by table_name",
    )
    .bind(source)
    .fetch_all(pool)
    .await
    .map_err(doing("reading the synced tables"))?;
    let specs: sqlx::Result<Vec<TableSpec>> =
        rows.iter().map(|row| row.try_get::<Json<TableSpec>, _>(0).map(|Json(spec)| spec)).collect();
    specs.map_err(doing("reading the synced tables"))
}
