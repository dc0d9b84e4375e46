//! The first reading of a table: page after page into the log, the cursor kept in `upwrite.tables`.
//!
//! A page is appended before the cursor moves, so a death in between reads one page twice: harmless, since merging
//! the same image again changes nothing.

use std::time::Duration;

use sqlx::{PgPool, Row as _};
use upwrite_events::{Partition, Position, TableSpec};

use crate::error::{SyncerError, doing};
use crate::source::Source;

/// Reads one table to its end and waits until the reconciler has merged it. Nothing to do if that has been done.
pub(crate) async fn run(source: &Source, spec: &TableSpec) -> Result<(), SyncerError> {
    let pool = &source.pool;
    let Some(mut cursor) = unfinished(pool, spec).await? else { return Ok(()) };
    tracing::info!(table = %spec.name, resumed = cursor.is_some(), "backfill begins");
    let mut rows = 0;
    loop {
        let page = source.connector.page(spec, cursor.as_deref()).await?;
        rows += page.rows.len();
        source.observer.observe(&spec.name, "backfill", page.seen, page.rows).await?;
        tracing::debug!(table = %spec.name, rows, "backfill goes on");
        cursor = page.next;
        let Some(next) = &cursor else { break };
        keep_cursor(pool, spec, next).await?;
    }
    // Also what an earlier process read: the last page, read by this one, may have been empty.
    let partition = source.observer.partition(&spec.name);
    let end = source.observer.log.end(partition).await?;
    merged(pool, partition, end).await?;
    finished(pool, spec).await?;
    tracing::info!(table = %spec.name, rows, "backfill is merged");
    Ok(())
}

/// The cursor to go on from; outer `None`: there is none.
async fn unfinished(pool: &PgPool, spec: &TableSpec) -> Result<Option<Option<String>>, SyncerError> {
    let row = sqlx::query(
        "/* syncer.cursor */ select backfill_cursor from upwrite.tables
          where source = $1 and table_name = $2 and backfilled_at is null",
    )
    .bind(&spec.name.source)
    .bind(&spec.name.table)
    .fetch_optional(pool)
    .await
    .map_err(doing("reading a backfill's state"))?;
    row.map(|row| row.try_get(0)).transpose().map_err(doing("reading a backfill's state"))
}

async fn keep_cursor(pool: &PgPool, spec: &TableSpec, cursor: &str) -> Result<(), SyncerError> {
    sqlx::query(
        "/* syncer.keep_cursor */ update upwrite.tables set backfill_cursor = $3 where source = $1 and table_name = $2",
    )
    .bind(&spec.name.source)
    .bind(&spec.name.table)
    .bind(cursor)
    .execute(pool)
    .await
    .map_err(doing("keeping a backfill's cursor"))?;
    Ok(())
}

/// How often the reconciler's position is looked at while a backfill waits for it; nobody is held by this.
const MERGE_POLL: Duration = Duration::from_millis(100);

/// Waits until the reconciler has read the partition up to `end`, the first position that is not of concern.
async fn merged(pool: &PgPool, partition: Partition, end: Position) -> Result<(), SyncerError> {
    loop {
        let row = sqlx::query(
            "/* syncer.merged */ select next_position from upwrite.positions where stream = $1 and partition = $2",
        )
        .bind(partition.stream.as_str())
        .bind(i32::from(partition.number))
        .fetch_optional(pool)
        .await
        .map_err(doing("reading the reconciler's position"))?;
        let next: i64 = row.map(|row| row.try_get(0)).transpose().map_err(doing("reading a position"))?.unwrap_or(0);
        if next >= end.0 {
            return Ok(());
        }
        tokio::time::sleep(MERGE_POLL).await;
    }
}

async fn finished(pool: &PgPool, spec: &TableSpec) -> Result<(), SyncerError> {
    sqlx::query(
        "/* syncer.finished */ update upwrite.tables set backfilled_at = clock_timestamp(), backfill_cursor = null
          where source = $1 and table_name = $2",
    )
    .bind(&spec.name.source)
    .bind(&spec.name.table)
    .execute(pool)
    .await
    .map_err(doing("ending a backfill"))?;
    Ok(())
}
