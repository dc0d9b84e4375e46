//! What the applier reads from Postgres: where to start, what the tables look like, and what time it is there.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use upwrite_events::{Lifecycle, MutationId, OwnerId, Position, TableSpec};
use uuid::Uuid;

/// One consistent look at the reconciler's projections.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Of each partition of the mutations stream: the first position not folded, and its owner there.
    pub partitions: HashMap<u16, (Position, Option<OwnerId>)>,
    /// Mutations that may still touch their records, with their partition.
    pub unreleased: Vec<(u16, MutationId, Lifecycle)>,
    pub tables: Vec<TableSpec>,
}

/// The projections could not be read, now.
#[derive(Debug, thiserror::Error)]
#[error("the projections cannot be read")]
pub struct ProjectionError(#[from] pub sqlx::Error);

/// Where projections are read from.
#[async_trait]
pub trait Projections: Send + Sync + 'static {
    async fn snapshot(&self) -> Result<Snapshot, ProjectionError>;

    async fn tables(&self) -> Result<Vec<TableSpec>, ProjectionError>;

    /// Postgres's clock, Unix microseconds.
    async fn now_us(&self) -> Result<i64, ProjectionError>;
}

/// The real ones, read as `upwrite_service`.
#[derive(Debug, Clone)]
pub struct PgProjections {
    pool: PgPool,
}

impl PgProjections {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Projections for PgProjections {
    async fn snapshot(&self) -> Result<Snapshot, ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("/* applier.snapshot */ set transaction isolation level repeatable read read only")
            .execute(&mut *transaction)
            .await?;
        let snapshot = Snapshot {
            partitions: partitions(&mut transaction).await?,
            unreleased: unreleased(&mut transaction).await?,
            tables: tables(&mut transaction).await?,
        };
        transaction.commit().await?;
        Ok(snapshot)
    }

    async fn tables(&self) -> Result<Vec<TableSpec>, ProjectionError> {
        let mut connection = self.pool.acquire().await?;
        Ok(tables(&mut connection).await?)
    }

    async fn now_us(&self) -> Result<i64, ProjectionError> {
        let sql = "/* applier.now */ select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }
}

async fn partitions(connection: &mut PgConnection) -> sqlx::Result<HashMap<u16, (Position, Option<OwnerId>)>> {
    let sql = "/* applier.positions */ select partition, next_position, owner \
               from upwrite.positions where stream = 'mutations'";
    let rows: Vec<(i16, i64, Option<Uuid>)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let row = |(number, next, owner): (i16, i64, Option<Uuid>)| {
        Ok((partition_number(number)?, (Position(next), owner.map(OwnerId))))
    };
    rows.into_iter().map(row).collect()
}

async fn unreleased(connection: &mut PgConnection) -> sqlx::Result<Vec<(u16, MutationId, Lifecycle)>> {
    let sql = "/* applier.unreleased */ select partition, id, lifecycle from upwrite.mutations where not released";
    let rows: Vec<(i16, Uuid, Json<Lifecycle>)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let row =
        |(number, id, Json(life)): (i16, Uuid, Json<Lifecycle>)| Ok((partition_number(number)?, MutationId(id), life));
    rows.into_iter().map(row).collect()
}

async fn tables(connection: &mut PgConnection) -> sqlx::Result<Vec<TableSpec>> {
    let sql = "/* applier.tables */ select spec from upwrite.tables";
    let rows: Vec<Json<TableSpec>> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|Json(spec)| spec).collect())
}

fn partition_number(number: i16) -> sqlx::Result<u16> {
    u16::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}
