//! What the applier reads from Postgres: where to start, what the tables look like, and what time it is there.

use async_trait::async_trait;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use upwrite_event_log::PgClock;
use upwrite_events::{Lifecycle, MutationId, OwnerId, Position, TableSpec};
use uuid::Uuid;

/// One consistent look at the reconciler's projections of one partition of the mutations stream.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The first position not folded.
    pub position: Position,
    /// The partition's owner there.
    pub owner: Option<OwnerId>,
    /// Mutations that may still touch their records, and voids that are retained.
    pub unreleased: Vec<(MutationId, Lifecycle)>,
    pub tables: Vec<TableSpec>,
}

/// The projections could not be read, now.
#[derive(Debug, thiserror::Error)]
#[error("the projections cannot be read")]
pub struct ProjectionError(#[from] pub sqlx::Error);

/// Where projections are read from.
#[async_trait]
pub trait Projections: Send + Sync + 'static {
    async fn snapshot(&self, partition: u16) -> Result<Snapshot, ProjectionError>;

    async fn tables(&self) -> Result<Vec<TableSpec>, ProjectionError>;

    /// Postgres's clock, Unix microseconds.
    async fn now_us(&self) -> Result<i64, ProjectionError>;
}

/// The real ones, read as `upwrite_service`.
#[derive(Debug, Clone)]
pub(crate) struct PgProjections {
    pool: PgPool,
}

impl PgProjections {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Projections for PgProjections {
    async fn snapshot(&self, partition: u16) -> Result<Snapshot, ProjectionError> {
        let number = i16::try_from(partition).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("/* applier.snapshot */ set transaction isolation level repeatable read read only")
            .execute(&mut *transaction)
            .await?;
        let (position, owner) = position(&mut transaction, number).await?;
        let unreleased = unreleased(&mut transaction, number).await?;
        let tables = tables(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Snapshot { position, owner, unreleased, tables })
    }

    async fn tables(&self) -> Result<Vec<TableSpec>, ProjectionError> {
        let mut connection = self.pool.acquire().await?;
        Ok(tables(&mut connection).await?)
    }

    async fn now_us(&self) -> Result<i64, ProjectionError> {
        Ok(PgClock::now_us(&self.pool).await?)
    }
}

async fn position(connection: &mut PgConnection, number: i16) -> sqlx::Result<(Position, Option<OwnerId>)> {
    let sql = "/* applier.position */ select next_position, owner \
               from upwrite.positions where stream = 'mutations' and partition = $1";
    let row: Option<(i64, Option<Uuid>)> = sqlx::query_as(sql).bind(number).fetch_optional(connection).await?;
    Ok(row.map_or((Position::START, None), |(next, owner)| (Position(next), owner.map(OwnerId))))
}

async fn unreleased(connection: &mut PgConnection, number: i16) -> sqlx::Result<Vec<(MutationId, Lifecycle)>> {
    let sql = "/* applier.unreleased */ select id, lifecycle from upwrite.mutations \
               where partition = $1 and not released";
    let rows: Vec<(Uuid, Json<Lifecycle>)> = sqlx::query_as(sql).bind(number).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id, Json(life))| (MutationId(id), life)).collect())
}

async fn tables(connection: &mut PgConnection) -> sqlx::Result<Vec<TableSpec>> {
    let sql = "/* applier.tables */ select spec from upwrite.tables";
    let rows: Vec<Json<TableSpec>> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|Json(spec)| spec).collect())
}
