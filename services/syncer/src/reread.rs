//! Records that the reconciler wants read again by id, because an image of them could not be put in order.

use sqlx::types::Json;
use sqlx::{PgPool, Row as _};
use upwrite_connectors::LookupResult;
use upwrite_events::{ObservedRow, TableSpec};

use crate::error::{SyncerError, doing};
use crate::source::Source;

/// Records of one table that are looked up in Postgres at once. How many are read together is the connector's to say.
const MAX_WANTED: i64 = 1000;

/// Records of one table to be read again. Asking for one again while the read runs makes a new ticket, so it is answered by
/// a read of its own.
pub(crate) struct Wanted {
    pub(crate) spec: TableSpec,
    keys: Vec<String>,
    /// As many as keys, in their order.
    tickets: Vec<i64>,
}

/// What is wanted of a source's tables, the oldest of each first: a table that cannot be read hides no other.
pub(crate) async fn wanted(pool: &PgPool, source: &str) -> Result<Vec<Wanted>, SyncerError> {
    let rows = sqlx::query(
        "/* syncer.wanted */ select t.spec, w.keys, w.tickets from upwrite.tables t cross join lateral
            (select array_agg(r.key order by r.ticket) as keys, array_agg(r.ticket order by r.ticket) as tickets
               from (select key, ticket from upwrite.rereads
                      where source = t.source and table_name = t.table_name order by ticket limit $2) r) w
          where t.source = $1 and w.keys is not null order by t.table_name",
    )
    .bind(source)
    .bind(MAX_WANTED)
    .fetch_all(pool)
    .await
    .map_err(doing("looking for records to read again"))?;
    let wanted: sqlx::Result<Vec<Wanted>> = rows
        .iter()
        .map(|row| {
            let Json(spec) = row.try_get(0)?;
            Ok(Wanted { spec, keys: row.try_get(1)?, tickets: row.try_get(2)? })
        })
        .collect();
    wanted.map_err(doing("looking for records to read again"))
}

/// Reads them and appends what was seen.
pub(crate) async fn run(source: &Source, wanted: &Wanted) -> Result<(), SyncerError> {
    let spec = &wanted.spec;
    // The rest is found again by the next look.
    let most = wanted.keys.len().min(source.keys_per_read(spec));
    let (keys, tickets) = (&wanted.keys[..most], &wanted.tickets[..most.min(wanted.tickets.len())]);
    let (results, seen) = source.connector.read(spec, keys).await?;
    let rows = keys.iter().zip(results).filter_map(|(key, result)| match result {
        LookupResult::Present { key, image, vendor_version } => {
            Some(ObservedRow { key, image: Some(image), vendor_version })
        }
        LookupResult::Absent => Some(ObservedRow { key: key.clone(), image: None, vendor_version: None }),
        LookupResult::Ambiguous => None,
    });
    source.observer.observe(&spec.name, "by_id", seen, rows.collect()).await?;
    answered(&source.pool, tickets).await
}

async fn answered(pool: &PgPool, tickets: &[i64]) -> Result<(), SyncerError> {
    sqlx::query("/* syncer.answered */ delete from upwrite.rereads where ticket = any($1)")
        .bind(tickets)
        .execute(pool)
        .await
        .map_err(doing("noting that records were read again"))?;
    Ok(())
}
