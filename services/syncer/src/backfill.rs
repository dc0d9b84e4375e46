//! The first reading of a table: page after page into the log, the cursor kept in `upwrite.tables`.
//!
//! A page is appended before the cursor moves, so a death in between reads one page twice: harmless, since merging
//! the same image again changes nothing.

use std::time::Duration;

use sqlx::{PgPool, Row as _};
use upwrite_events::{Partition, Position, TableSpec};

use crate::error::{SyncerError, doing};
use crate::observe::{Clock, observe};
use crate::run::Upstream;

/// Reads one table to its end and waits until the reconciler has merged it. Nothing to do if that has been done.
pub(crate) async fn backfill(upstream: &Upstream, spec: &TableSpec) -> Result<(), SyncerError> {
    let (pool, log) = (&upstream.pool, upstream.log.as_ref());
    let Some(mut cursor) = unfinished(pool, spec).await? else { return Ok(()) };
    tracing::info!(table = %spec.name, "backfill begins");
    let clock = Clock::measure(pool).await?;
    let (mut rows, mut last) = (0, None);
    loop {
        let page = upstream.connector.page(spec, cursor.as_deref()).await?;
        rows += page.rows.len();
        if let Some(place) = observe(log, &clock, &spec.name, "backfill", page.seen, page.rows).await? {
            last = Some(place);
        }
        tracing::debug!(table = %spec.name, rows, "backfill goes on");
        cursor = page.next;
        let Some(next) = &cursor else { break };
        keep_cursor(pool, spec, next).await?;
    }
    if let Some((partition, position)) = last {
        merged(pool, partition, position).await?;
    }
    finished(pool, spec).await?;
    tracing::info!(table = %spec.name, rows, "backfill is merged");
    Ok(())
}

/// The cursor to go on from; outer `None`: the backfill is done.
async fn unfinished(pool: &PgPool, spec: &TableSpec) -> Result<Option<Option<String>>, SyncerError> {
    let row = sqlx::query(
        "/* syncer.unfinished */ select backfill_cursor from upwrite.tables
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

async fn merged(pool: &PgPool, partition: Partition, position: Position) -> Result<(), SyncerError> {
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
        if next > position.0 {
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
