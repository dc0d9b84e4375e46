//! `upwrite.outbox`, one table's part of it.

use std::collections::HashMap;

use sqlx::PgPool;
use upwrite_events::TableName;

use super::failure::Failure;
use super::message::{Origin, OutboxRow};

/// Bytes of images in one batch, unless one alone is larger.
/// Rows in one Kafka transaction. A publisher that takes over reads so far back: a later version may lower it, never raise it
/// without reading back as far as this one wrote.
pub(super) const BATCH_ROWS: i64 = 1000;

const BATCH_BYTES: i64 = 8 * 1024 * 1024;
/// Rows beyond it are not counted.
const COUNTED: i64 = 1_000_000;

/// The synced tables, in the order that the items of the group `publisher` are numbered by.
///
/// # Errors
/// If Postgres does not answer.
pub async fn synced_tables(pool: &PgPool) -> Result<Vec<TableName>, sqlx::Error> {
    let query = "/* records.tables */ select source, table_name from upwrite.tables \
                 order by source collate \"C\", table_name collate \"C\"";
    let tables: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await?;
    Ok(tables.into_iter().map(|(source, table)| TableName::new(source, table)).collect())
}

pub(super) struct Outbox {
    pool: PgPool,
    table: TableName,
}

impl Outbox {
    pub(super) fn new(pool: PgPool, table: TableName) -> Self {
        Self { pool, table }
    }

    /// The outbox, and how many partitions each topic has.
    pub(super) async fn deployment(&self) -> Result<(Origin, u16), Failure> {
        let query = "/* records.deployment */ select deployment, timeline, partitions from upwrite.deployment";
        let found: Option<(uuid::Uuid, i32, i16)> =
            sqlx::query_as(query).fetch_optional(&self.pool).await.map_err(Failure::away)?;
        let (deployment, timeline, partitions) =
            found.ok_or_else(|| Failure::Away("this database is not set up: run `upwrite setup`".to_owned()))?;
        Ok((Origin::new(deployment, timeline), u16::try_from(partitions).unwrap_or(1)))
    }

    /// The next batch: what one snapshot sees, lowest ids first.
    pub(super) async fn take(&self) -> Result<Vec<OutboxRow>, Failure> {
        let query = "/* records.take */ with waiting as materialized ( \
                select id, key, version, vendor_version, image::text as image, mutation, written_at \
                  from upwrite.outbox where source = $1 and table_name = $2 order by id limit $3 \
            ), weighed as ( \
                select w.*, sum(coalesce(octet_length(image), 0)) over (order by id) \
                            - coalesce(octet_length(image), 0) as before from waiting w \
            ) \
            select id, key, version, vendor_version, image, mutation, \
                   (extract(epoch from written_at) * 1000000)::bigint as written_at_us, \
                   extract(epoch from clock_timestamp() - written_at)::float8 as age \
              from weighed where before < $4 order by id";
        let query = sqlx::query_as(query).bind(&self.table.source).bind(&self.table.table);
        query.bind(BATCH_ROWS).bind(BATCH_BYTES).fetch_all(&self.pool).await.map_err(Failure::away)
    }

    /// They are in the topic.
    pub(super) async fn remove(&self, ids: &[i64]) -> Result<(), Failure> {
        let query = "/* records.remove */ delete from upwrite.outbox where id = any ($1)";
        sqlx::query(query).bind(ids).execute(&self.pool).await.map_err(Failure::away)?;
        Ok(())
    }

    /// What the topic has of these keys, and what is older. How many rows that were.
    ///
    /// Older ones are in the topic too, unless compaction has taken them: then they must not come after what took
    /// their place.
    pub(super) async fn remove_published(&self, published: HashMap<String, i64>) -> Result<u64, Failure> {
        if published.is_empty() {
            return Ok(0);
        }
        let (keys, ids): (Vec<String>, Vec<i64>) = published.into_iter().unzip();
        let query = "/* records.remove_published */ delete from upwrite.outbox o \
             using unnest($3::text[], $4::bigint[]) as p (key, id) \
             where o.source = $1 and o.table_name = $2 and o.key = p.key and o.id <= p.id";
        let query = sqlx::query(query).bind(&self.table.source).bind(&self.table.table);
        let removed = query.bind(keys).bind(ids).execute(&self.pool).await.map_err(Failure::away)?;
        Ok(removed.rows_affected())
    }

    /// How many rows wait.
    pub(super) async fn waiting(&self) -> Result<u32, Failure> {
        let query = "/* records.waiting */ select count(*) from ( \
             select from upwrite.outbox where source = $1 and table_name = $2 limit $3) o";
        let query = sqlx::query_scalar(query).bind(&self.table.source).bind(&self.table.table);
        let count: i64 = query.bind(COUNTED).fetch_one(&self.pool).await.map_err(Failure::away)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
