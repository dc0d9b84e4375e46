//! The other tables of a batch's transaction: record states, mutations, parked, conflicts, claims, positions.

use std::collections::{BTreeMap, HashMap};

use sqlx::{PgConnection, Row as _};
use upwrite_events::{Interval, MutationId, OwnerId, Partition, Position, TableName};

use crate::batch::{DeadLetter, EarlyClaim};
use crate::error::{ReconcilerError, doing};
use crate::merge::{Image, RecordState};
use crate::status::Status;
use crate::write::Conflict;

pub(crate) async fn load_record_states(
    tx: &mut PgConnection,
    table: &TableName,
    keys: &[&str],
) -> Result<HashMap<String, RecordState>, ReconcilerError> {
    let rows = sqlx::query(
        "/* reconciler.load_record_states */
         select key, vendor_version, seen_begun_us, seen_ended_us, by_mutation
           from upwrite.records where source = $1 and table_name = $2 and key = any($3)",
    )
    .bind(&table.source)
    .bind(&table.table)
    .bind(keys)
    .fetch_all(tx)
    .await
    .map_err(doing("reading record states"))?;
    let state = |row: &sqlx::postgres::PgRow| -> sqlx::Result<(String, RecordState)> {
        let seen = Interval { begun_us: row.try_get(2)?, ended_us: row.try_get(3)? };
        Ok((row.try_get(0)?, RecordState { vendor_version: row.try_get(1)?, seen, by_mutation: row.try_get(4)? }))
    };
    rows.iter().map(state).collect::<sqlx::Result<_>>().map_err(doing("reading record states"))
}

/// What is known of the records whose images a transaction writes; becomes rows of `upwrite.records`.
#[derive(Debug, Default)]
pub(crate) struct Shown(Vec<ShownRow>);

#[derive(Debug, serde::Serialize)]
struct ShownRow {
    source: String,
    table_name: String,
    key: String,
    vendor_version: Option<String>,
    seen_begun_us: i64,
    seen_ended_us: i64,
    by_mutation: bool,
    deleted: bool,
}

impl Shown {
    pub(crate) fn add(&mut self, table: &TableName, image: &Image) {
        self.0.push(ShownRow {
            source: table.source.clone(),
            table_name: table.table.clone(),
            key: image.key.clone(),
            vendor_version: image.vendor_version.clone(),
            seen_begun_us: image.seen.begun_us,
            seen_ended_us: image.seen.ended_us,
            by_mutation: image.mutation.is_some(),
            deleted: image.row.is_none(),
        });
    }
}

/// A key that is about to become visible is claimed for the create that made it, in the same transaction (B10).
pub(crate) async fn claim_early(tx: &mut PgConnection, claims: &[EarlyClaim]) -> Result<(), ReconcilerError> {
    for claim in claims {
        sqlx::query(
            "/* reconciler.claim_early */
             insert into upwrite.claims (source, table_name, key, mutation) values ($1, $2, $3, $4)
             on conflict do nothing",
        )
        .bind(&claim.table.source)
        .bind(&claim.table.table)
        .bind(&claim.key)
        .bind(claim.mutation.0)
        .execute(&mut *tx)
        .await
        .map_err(doing("claiming a created record"))?;
    }
    Ok(())
}

pub(crate) async fn park(tx: &mut PgConnection, table: &TableName, image: &Image) -> Result<(), ReconcilerError> {
    sqlx::query(
        "/* reconciler.park */
         insert into upwrite.parked
                (mutation, source, table_name, key, image, vendor_version, seen_begun_us, seen_ended_us)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(image.mutation.map(|id| id.0))
    .bind(&table.source)
    .bind(&table.table)
    .bind(&image.key)
    .bind(image.row.as_ref().map(sqlx::types::Json))
    .bind(&image.vendor_version)
    .bind(image.seen.begun_us)
    .bind(image.seen.ended_us)
    .execute(tx)
    .await
    .map_err(doing("parking an image"))?;
    Ok(())
}

pub(crate) async fn report_conflict(
    tx: &mut PgConnection,
    table: &TableName,
    image: &Image,
    conflict: &Conflict,
) -> Result<(), ReconcilerError> {
    sqlx::query(
        "/* reconciler.report_conflict */
         insert into upwrite.conflicts (source, table_name, key, mutation, sqlstate, message)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&table.source)
    .bind(&table.table)
    .bind(&image.key)
    .bind(image.mutation.map(|id| id.0))
    .bind(&conflict.sqlstate)
    .bind(&conflict.message)
    .execute(tx)
    .await
    .map_err(doing("recording a conflict"))?;
    Ok(())
}

pub(crate) async fn ask_rereads(tx: &mut PgConnection, rereads: &[(TableName, String)]) -> Result<(), ReconcilerError> {
    if rereads.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "/* reconciler.ask_rereads */
         insert into upwrite.rereads (source, table_name, key)
         select distinct * from unnest($1::text[], $2::text[], $3::text[])
         on conflict (source, table_name, key) do update set ticket = default",
    )
    .bind(rereads.iter().map(|(table, _)| table.source.clone()).collect::<Vec<_>>())
    .bind(rereads.iter().map(|(table, _)| table.table.clone()).collect::<Vec<_>>())
    .bind(rereads.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(doing("asking for reads by id"))?;
    Ok(())
}

pub(crate) async fn dead_letters(tx: &mut PgConnection, letters: &[DeadLetter]) -> Result<(), ReconcilerError> {
    for letter in letters {
        tracing::warn!(partition = %letter.partition, position = %letter.position, reason = %letter.reason, "dead letter");
        sqlx::query(
            "/* reconciler.dead_letters */
             insert into upwrite.dead_letters (stream, partition, position, reason, value)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(letter.partition.stream.as_str())
        .bind(i16::try_from(letter.partition.number).unwrap_or(i16::MAX))
        .bind(letter.position.0)
        .bind(&letter.reason)
        .bind(&letter.value)
        .execute(&mut *tx)
        .await
        .map_err(doing("writing dead letters"))?;
    }
    Ok(())
}

/// Notes that mutations stand although the transaction that asked for them was rolled back.
pub(crate) async fn outlived(tx: &mut PgConnection, mutations: &[MutationId]) -> Result<(), ReconcilerError> {
    if mutations.is_empty() {
        return Ok(());
    }
    sqlx::query("/* reconciler.outlived */ update upwrite.mutations set outlived_rollback = true where id = any($1)")
        .bind(mutations.iter().map(|id| id.0).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(doing("noting mutations that outlived a rollback"))?;
    Ok(())
}

/// Positions that a batch moves on, with the owner there.
pub(crate) type Positions = BTreeMap<Partition, (Position, Option<OwnerId>)>;

/// The end of a transaction: what is known of the records it wrote, the mutations' rows, the claims of those that are released, the positions (if this
/// reconciler is still the one that may move them). Times that mean "now" are the database's.
pub(crate) async fn finish(
    tx: &mut PgConnection,
    shown: &Shown,
    statuses: &[Status],
    positions: &Positions,
    epochs: &HashMap<Partition, i64>,
) -> Result<(), ReconcilerError> {
    let released: Vec<uuid::Uuid> = statuses.iter().filter(|status| status.released).map(|status| status.id).collect();
    let moved: i64 = sqlx::query_scalar(include_str!("finish.sql"))
        .bind(sqlx::types::Json(statuses))
        .bind(released)
        .bind(positions.keys().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
        .bind(positions.keys().map(|partition| i64::from(partition.number)).collect::<Vec<_>>())
        .bind(positions.values().map(|(position, _)| position.0).collect::<Vec<_>>())
        .bind(positions.values().map(|(_, owner)| owner.map(|id| id.0)).collect::<Vec<_>>())
        .bind(positions.keys().map(|partition| epochs.get(partition).copied().unwrap_or(-1)).collect::<Vec<_>>())
        .bind(sqlx::types::Json(&shown.0))
        .fetch_one(tx)
        .await
        .map_err(doing("writing statuses and positions"))?;
    match positions.keys().next() {
        Some(partition) if usize::try_from(moved).ok() != Some(positions.len()) => {
            Err(ReconcilerError::Ousted(*partition))
        }
        _ => Ok(()),
    }
}

/// Fences a transaction that moves no position: fails if another reconciler has taken over, and makes one that wants
/// to wait until this transaction has ended.
pub(crate) async fn hold_epoch(tx: &mut PgConnection, epochs: &HashMap<Partition, i64>) -> Result<(), ReconcilerError> {
    let Some((partition, epoch)) = epochs.iter().next() else { return Ok(()) };
    let held = sqlx::query(
        "/* reconciler.hold_epoch */
         select 1 from upwrite.positions where stream = $1 and partition = $2 and epoch = $3 for share",
    )
    .bind(partition.stream.as_str())
    .bind(i32::from(partition.number))
    .bind(epoch)
    .fetch_optional(tx)
    .await
    .map_err(doing("holding the epoch"))?;
    if held.is_some() { Ok(()) } else { Err(ReconcilerError::Ousted(*partition)) }
}
