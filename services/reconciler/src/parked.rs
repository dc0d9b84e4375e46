//! Images that wait for somebody's lock: tried again until it is gone.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _, types::Json};
use upwrite_events::{Interval, MutationId, Row, TableName};

use crate::columns::ColumnCache;
use crate::error::{ReconcilerError, doing};
use crate::merge::Image;
use crate::store;
use crate::write::{Mode, merge};

/// Parked images in one transaction.
const MAX_TRIED: i64 = 500;

/// What came of one round.
#[derive(Debug)]
pub(crate) struct Tried {
    /// How many images of each mutation are no longer parked.
    pub(crate) resolved: HashMap<MutationId, usize>,
    /// Whether images may still be parked.
    pub(crate) some_left: bool,
    /// Behind which image the next round begins.
    pub(crate) next: i64,
    pub(crate) shown: store::Shown,
}

/// Tries parked images behind `after`, the oldest first, inside the caller's transaction. Round follows round through all
/// of them, so that many under one lasting lock do not keep others from being tried.
pub(crate) async fn retry(
    tx: &mut PgConnection,
    cache: &mut ColumnCache,
    after: i64,
) -> Result<Tried, ReconcilerError> {
    let parked = load(tx, after).await?;
    let ids = || parked.values().flatten().map(|(id, _)| *id);
    let is_last_round = i64::try_from(ids().count()).unwrap_or(i64::MAX) < MAX_TRIED;
    let next = if is_last_round { 0 } else { ids().max().unwrap_or(0) };
    let mut tried =
        Tried { resolved: HashMap::new(), some_left: after > 0 || next > 0, next, shown: store::Shown::default() };
    for (table, parked) in parked {
        let (ids, images): (Vec<i64>, Vec<Image>) = parked.into_iter().unzip();
        let written = merge(tx, cache, &table, &images, Mode::Careful).await?;
        tried.some_left |= !written.parked.is_empty();
        written.shown.iter().for_each(|index| tried.shown.add(&table, &images[*index]));
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

async fn load(tx: &mut PgConnection, after: i64) -> Result<HashMap<TableName, Vec<(i64, Image)>>, ReconcilerError> {
    let rows = sqlx::query(
        "/* reconciler.load_parked */
         select id, source, table_name, key, image, vendor_version, seen_begun_us, seen_ended_us, mutation
           from upwrite.parked where id > $2 order by id limit $1",
    )
    .bind(MAX_TRIED)
    .bind(after)
    .fetch_all(tx)
    .await
    .map_err(doing("reading parked images"))?;
    let mut parked: HashMap<TableName, Vec<(i64, Image)>> = HashMap::new();
    for row in rows {
        let read = || -> sqlx::Result<(TableName, i64, Image)> {
            let image = Image {
                key: row.try_get(3)?,
                row: row.try_get::<Option<Json<Row>>, _>(4)?.map(|Json(image)| image),
                vendor_version: row.try_get(5)?,
                seen: Interval { begun_us: row.try_get(6)?, ended_us: row.try_get(7)? },
                mutation: row.try_get::<Option<uuid::Uuid>, _>(8)?.map(MutationId),
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
