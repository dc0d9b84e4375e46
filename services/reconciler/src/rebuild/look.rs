//! The records that differ, as the log and the live tables have them, in the caller's transaction.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use upwrite_events::{Interval, TableName};

use super::compare::differs;
use super::error::{RebuildError, doing};
use super::feed::Feed;
use super::judge::Suspect;
use super::shadow::MENDING;
use crate::merge::RecordState;

pub(super) async fn look(
    tx: &mut PgConnection,
    feed: &Feed,
    table: &TableName,
    keys: &[String],
) -> Result<Vec<Suspect>, RebuildError> {
    let layout = &feed.layout;
    let sql = format!(
        "/* rebuild.look */
         select x.key, i._key is not null as has_image, i._version, i._begun, i._ended, i._mutation, i._deleted, i._shape,
                l.{key} is not null as has_row, coalesce({differs}, false) as differs,
                r.key is not null as has_record, r.vendor_version, r.seen_begun_us, r.seen_ended_us, r.by_mutation,
                r.deleted,
                exists (select from upwrite.parked p
                         where p.source = $2 and p.table_name = $3 and p.key = x.key) as parked
           from unnest($1::text[]) x (key)
           left join {MENDING} i on i._key = x.key
           left join {relation} l on l.{key} = x.key::{key_type}
           left join upwrite.records r on r.source = $2 and r.table_name = $3 and r.key = x.key",
        key = layout.key,
        key_type = layout.key_type,
        relation = layout.relation,
        differs = differs(layout, &feed.shapes.all()),
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(keys)
        .bind(&table.source)
        .bind(&table.table)
        .fetch_all(tx)
        .await
        .map_err(doing("looking at what differs"))?;
    rows.iter().map(suspect).collect::<sqlx::Result<_>>().map_err(doing("looking at what differs"))
}

fn suspect(row: &sqlx::postgres::PgRow) -> sqlx::Result<Suspect> {
    let image = || {
        let seen = Interval { begun_us: row.try_get("_begun")?, ended_us: row.try_get("_ended")? };
        let by_mutation = row.try_get("_mutation")?;
        let state = RecordState { vendor_version: row.try_get("_version")?, seen, by_mutation };
        Ok::<_, sqlx::Error>((state, row.try_get("_deleted")?, row.try_get("_shape")?))
    };
    let record = || {
        let seen = Interval { begun_us: row.try_get("seen_begun_us")?, ended_us: row.try_get("seen_ended_us")? };
        let by_mutation = row.try_get("by_mutation")?;
        let state = RecordState { vendor_version: row.try_get("vendor_version")?, seen, by_mutation };
        Ok::<_, sqlx::Error>((state, row.try_get("deleted")?))
    };
    let differs: bool = row.try_get("differs")?;
    Ok(Suspect {
        key: row.try_get("key")?,
        image: row.try_get::<bool, _>("has_image")?.then(image).transpose()?,
        row: row.try_get::<bool, _>("has_row")?.then_some(differs),
        record: row.try_get::<bool, _>("has_record")?.then(record).transpose()?,
        parked: row.try_get("parked")?,
    })
}
