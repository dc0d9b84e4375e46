//! Parked images: tried again until the lock in their way is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{PgConnection, Row as _, types::Json};
use upwrite_events::{Interval, MutationId, Partition, Row, Stream, TableName};

use crate::columns::ColumnCache;
use crate::error::{ReconcilerError, doing};
use crate::merge::Image;
use crate::records::RecordUpdates;
use crate::store;
use crate::write::{WriteMode, write_images};

/// Parked images in one transaction.
const MAX_TRIED: i64 = 500;

/// What came of one round.
#[derive(Debug)]
pub(crate) struct RetryReport {
    /// How many images of each mutation are no longer parked.
    pub(crate) resolved: HashMap<MutationId, usize>,
    /// Whether images may still be parked.
    pub(crate) some_left: bool,
    /// Behind which image the next round begins.
    pub(crate) next: i64,
    pub(crate) shown: RecordUpdates,
    /// The partitions that the images came from.
    pub(crate) origins: BTreeSet<Partition>,
    pub(crate) conflicts: u64,
}

/// Tries parked images of these partitions behind `after`, the oldest first, inside the caller's transaction. Round
/// follows round through all of them, so that many under one lasting lock do not keep others from being tried.
pub(crate) async fn retry(
    tx: &mut PgConnection,
    cache: &mut ColumnCache,
    partitions: &[Partition],
    after: i64,
) -> Result<RetryReport, ReconcilerError> {
    let parked = load(tx, partitions, after).await?;
    let ids = || parked.values().flatten().map(|(id, _)| *id);
    let is_last_round = i64::try_from(ids().count()).unwrap_or(i64::MAX) < MAX_TRIED;
    let next = if is_last_round { 0 } else { ids().max().unwrap_or(0) };
    let mut tried = RetryReport {
        resolved: HashMap::new(),
        some_left: after > 0 || next > 0,
        next,
        shown: RecordUpdates::default(),
        origins: parked.values().flatten().map(|(_, image)| image.origin).collect(),
        conflicts: 0,
    };
    for (table, parked) in parked {
        let (ids, images): (Vec<i64>, Vec<Image>) = parked.into_iter().unzip();
        let written = write_images(tx, cache, &table, &images, WriteMode::Careful).await?;
        tried.some_left |= !written.parked.is_empty();
        written.shown.iter().for_each(|(index, known)| tried.shown.add(&table, &images[*index], *known));
        tried.conflicts += written.conflicts.len() as u64;
        let rereads: Vec<_> = written.rereads.iter().map(|key| (table.clone(), key.clone())).collect();
        store::ask_rereads(tx, &rereads).await?;
        for conflict in &written.conflicts {
            store::report_conflict(tx, &table, &images[conflict.index], conflict).await?;
        }
        let mut gone = Vec::new();
        for (index, image) in images.iter().enumerate() {
            if written.parked.contains(&index) {
                continue;
            }
            gone.push(ids[index]);
            if let Some(mutation) = image.mutation {
                *tried.resolved.entry(mutation).or_default() += 1;
            }
        }
        sqlx::query("/* reconciler.unpark */ delete from upwrite.parked where id = any($1)")
            .bind(gone)
            .execute(&mut *tx)
            .await
            .map_err(doing("removing parked images"))?;
    }
    Ok(tried)
}

/// In one order of tables for every transaction.
async fn load(
    tx: &mut PgConnection,
    partitions: &[Partition],
    after: i64,
) -> Result<BTreeMap<TableName, Vec<(i64, Image)>>, ReconcilerError> {
    let rows = sqlx::query(
        "/* reconciler.load_parked */
         select p.id, p.source, p.table_name, p.key, p.image, p.vendor_version, p.seen_begun_us, p.seen_ended_us,
                p.mutation, p.stream, p.partition
           from unnest($3::text[], $4::int2[]) as mine (stream, partition)
           join upwrite.parked p on p.stream = mine.stream and p.partition = mine.partition
          where p.id > $2 order by p.id limit $1",
    )
    .bind(MAX_TRIED)
    .bind(after)
    .bind(partitions.iter().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
    .bind(partitions.iter().map(|partition| store::number(*partition)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(doing("reading parked images"))?;
    let mut parked: BTreeMap<TableName, Vec<(i64, Image)>> = BTreeMap::new();
    for row in rows {
        let read = || -> sqlx::Result<(TableName, i64, Image)> {
            let image = Image {
                key: row.try_get(3)?,
                row: row.try_get::<Option<Json<Row>>, _>(4)?.map(|Json(image)| image),
                vendor_version: row.try_get(5)?,
                seen: Interval { begun_us: row.try_get(6)?, ended_us: row.try_get(7)? },
                mutation: row.try_get::<Option<uuid::Uuid>, _>(8)?.map(MutationId),
                origin: origin(row.try_get(9)?, row.try_get(10)?),
            };
            Ok((TableName::new(row.try_get::<String, _>(1)?, row.try_get::<String, _>(2)?), row.try_get(0)?, image))
        };
        let (table, id, image) = read().map_err(|source| ReconcilerError::Corrupt {
            what: "a row of upwrite.parked",
            reason: source.to_string(),
        })?;
        parked.entry(table).or_default().push((id, image));
    }
    Ok(parked)
}

fn origin(stream: &str, number: i16) -> Partition {
    let stream = if stream == Stream::Mutations.as_str() { Stream::Mutations } else { Stream::Observations };
    Partition { stream, number: u16::try_from(number).unwrap_or_default() }
}

/// How many images of each of these partitions are parked.
pub(crate) async fn count(
    connection: &mut PgConnection,
    partitions: &[Partition],
) -> Result<HashMap<Partition, u64>, ReconcilerError> {
    let rows: Vec<(String, i16, i64)> = sqlx::query_as(
        "/* reconciler.count_parked */
         select p.stream, p.partition, count(*)
           from unnest($1::text[], $2::int2[]) as mine (stream, partition)
           join upwrite.parked p on p.stream = mine.stream and p.partition = mine.partition group by 1, 2",
    )
    .bind(partitions.iter().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
    .bind(partitions.iter().map(|partition| store::number(*partition)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(doing("counting parked images"))?;
    let counts =
        rows.iter().map(|(stream, number, count)| (origin(stream, *number), u64::try_from(*count).unwrap_or(0)));
    Ok(counts.collect())
}
