//! The smaller tables of a batch's transaction: parked images, conflicts, reads by id, dead letters.

use std::collections::HashSet;

use sqlx::PgConnection;
use upwrite_event_log::LogRecord;
use upwrite_events::{MutationId, Partition, TableName};

use crate::error::{ReconcilerError, doing};
use crate::merge::Image;
use crate::plan::DeadLetter;
use crate::write::Conflict;

/// As the database has it; there are never so many partitions that it would not fit (a check in `upwrite.deployment`).
pub(crate) fn number(partition: Partition) -> i16 {
    i16::try_from(partition.number).unwrap_or(i16::MAX)
}

pub(crate) async fn park(tx: &mut PgConnection, table: &TableName, image: &Image) -> Result<(), ReconcilerError> {
    sqlx::query(
        "/* reconciler.park */
         insert into upwrite.parked (mutation, source, table_name, key, image, vendor_version, seen_begun_us,
                                     seen_ended_us, stream, partition)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(image.mutation.map(|id| id.0))
    .bind(&table.source)
    .bind(&table.table)
    .bind(&image.key)
    .bind(image.row.as_ref().map(sqlx::types::Json))
    .bind(&image.vendor_version)
    .bind(image.seen.begun_us)
    .bind(image.seen.ended_us)
    .bind(image.origin.stream.as_str())
    .bind(number(image.origin))
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
        let LogRecord { partition, position, event, .. } = &letter.record;
        tracing::warn!(%partition, %position, reason = %letter.reason, "dead letter");
        sqlx::query(
            "/* reconciler.dead_letters */
             insert into upwrite.dead_letters (stream, partition, position, reason, value)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(partition.stream.as_str())
        .bind(number(*partition))
        .bind(position.0)
        .bind(&letter.reason)
        .bind(event.as_ref().err().map(|undecodable| &undecodable.value))
        .execute(&mut *tx)
        .await
        .map_err(doing("writing dead letters"))?;
    }
    Ok(())
}

/// Which of these mutations their own partition knew and has released: only an event that came late can speak of them, of
/// an owner whose append was tried again, while this reconciler was not there.
pub(crate) async fn released(
    connection: &mut PgConnection,
    unknown: &[(MutationId, DeadLetter)],
) -> Result<HashSet<MutationId>, ReconcilerError> {
    let found: Vec<(uuid::Uuid,)> = sqlx::query_as(
        "/* reconciler.released */
         select m.id from unnest($1::uuid[], $2::int2[]) as s (id, partition)
           join upwrite.mutations m on m.id = s.id and m.partition = s.partition where m.released",
    )
    .bind(unknown.iter().map(|(mutation, _)| mutation.0).collect::<Vec<_>>())
    .bind(unknown.iter().map(|(_, letter)| number(letter.record.partition)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(doing("looking for mutations that were released"))?;
    Ok(found.into_iter().map(|(id,)| MutationId(id)).collect())
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
