//! The claims of mutations that are not released, as the proxy made them and the reconciler added to them.

use std::collections::{BTreeSet, HashMap};

use sqlx::{Connection as _, PgConnection};
use upwrite_events::{Claim, Op, RowState, TableName, TableSpec};
use uuid::Uuid;

use super::error::{RebuildError, doing};
use super::expected::STATUSES;
use super::mutations::{MutationFeed, unreleased};
use crate::state::Tracked;

/// Replaces the claims of every mutation that the log knows; inside one transaction. Those of mutations that neither log
/// nor `upwrite.mutations` knows stay if the log is on Kafka: their request may be on its way, and the reconciler voids
/// them.
pub(super) async fn replace(
    connection: &mut PgConnection,
    feed: &MutationFeed,
    specs: &HashMap<TableName, TableSpec>,
) -> Result<u64, RebuildError> {
    let (mut claims, mut mutations, mut partitions) = (Vec::new(), Vec::<Uuid>::new(), Vec::<i16>::new());
    for (number, mutation, tracked) in unreleased(feed) {
        for claim in claims_of(specs, tracked) {
            claims.push(claim);
            mutations.push(mutation.0);
            partitions.push(i16::try_from(number).unwrap_or(i16::MAX));
        }
    }
    let mut tx = connection.begin().await.map_err(doing("beginning to replace claims"))?;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "/* rebuild.drop_claims */ delete from upwrite.claims c
          where (select d.log_engine = 'postgres' from upwrite.deployment d)
             or exists (select from {STATUSES} s where s.id = c.mutation)
             or exists (select from upwrite.mutations m where m.id = c.mutation)"
    )))
    .execute(&mut *tx)
    .await
    .map_err(doing("dropping claims"))?;
    let added = sqlx::query(
        "/* rebuild.add_claims */ insert into upwrite.claims (source, table_name, key, mutation, partition)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::int2[]) on conflict do nothing",
    )
    .bind(claims.iter().map(|claim| claim.table.source.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.table.table.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.key.0.as_str()).collect::<Vec<_>>())
    .bind(mutations)
    .bind(partitions)
    .execute(&mut *tx)
    .await
    .map_err(doing("making claims"))?;
    tx.commit().await.map_err(doing("committing claims"))?;
    Ok(added.rows_affected())
}

/// Those that its request made, and those of the records that it created.
fn claims_of(specs: &HashMap<TableName, TableSpec>, tracked: &Tracked) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    let Some(request) = &tracked.request else { return claims };
    let life = tracked.status.lifecycle.as_ref();
    for (index, change) in request.rows.iter().enumerate() {
        let Some(spec) = specs.get(&change.table) else { continue };
        claims.append(&mut spec.claims_of(change));
        if let (Op::Insert, Some(RowState::Applied(key))) = (change.op, life.and_then(|life| life.rows.get(index))) {
            claims.insert(spec.record_claim(key));
        }
    }
    claims
}
