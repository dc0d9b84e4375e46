//! Records that the reconciler wants read again by id, because an image of them could not be put in order.

use sqlx::{PgPool, Row as _};
use upwrite_connectors::LookupResult;
use upwrite_events::{ObservedRow, TableSpec};

use crate::error::{SyncerError, doing};
use crate::observe::{Clock, observe};
use crate::run::Upstream;

/// Reads what is asked for of one table; whether there was anything.
pub(crate) async fn reread(upstream: &Upstream, spec: &TableSpec) -> Result<bool, SyncerError> {
    let (pool, log) = (&upstream.pool, upstream.log.as_ref());
    let asked = asked(pool, spec, upstream.keys_per_read(spec)).await?;
    if asked.is_empty() {
        return Ok(false);
    }
    let (keys, tickets): (Vec<String>, Vec<i64>) = asked.into_iter().unzip();
    let clock = Clock::measure(pool).await?;
    let (found, seen) = upstream.connector.read(spec, &keys).await?;
    let rows = keys.iter().zip(found).filter_map(|(key, found)| match found {
        LookupResult::Present { key, image, vendor_version } => {
            Some(ObservedRow { key, image: Some(image), vendor_version })
        }
        LookupResult::Absent => Some(ObservedRow { key: key.clone(), image: None, vendor_version: None }),
        LookupResult::Ambiguous => None,
    });
    observe(log, &clock, &spec.name, "by_id", seen, rows.collect()).await?;
    answered(pool, &tickets).await?;
    Ok(true)
}

/// At most `most` keys with their tickets. Asking again while the read runs makes a new ticket, so it is answered by a read of its own.
async fn asked(pool: &PgPool, spec: &TableSpec, most: i64) -> Result<Vec<(String, i64)>, SyncerError> {
    let rows = sqlx::query(
        "/* syncer.asked */ select key, ticket from upwrite.rereads where source = $1 and table_name = $2
          order by ticket limit $3",
    )
    .bind(&spec.name.source)
    .bind(&spec.name.table)
    .bind(most)
    .fetch_all(pool)
    .await
    .map_err(doing("looking for records to read again"))?;
    let asked: sqlx::Result<Vec<_>> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    asked.map_err(doing("looking for records to read again"))
}

async fn answered(pool: &PgPool, tickets: &[i64]) -> Result<(), SyncerError> {
    sqlx::query("/* syncer.answered */ delete from upwrite.rereads where ticket = any($1)")
        .bind(tickets)
        .execute(pool)
        .await
        .map_err(doing("noting that records were read again"))?;
    Ok(())
}
