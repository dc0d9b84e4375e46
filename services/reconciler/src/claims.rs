//! Real ids that become visible while the create that made them is not finished (hazard B10): until then nobody else may
//! write to the record, so the create claims its real id too.

use sqlx::PgConnection;

use crate::error::{ReconcilerError, doing};
use crate::plan::EarlyClaim;

/// Claims a key that is about to become visible for the create that made it, in the same transaction. Whether that
/// create is finished only its claims tell: it may be in a partition of another process, and its request may not even be
/// folded. A lock on one of them keeps `upwrite.release_claims` from ending without the claim that is added here.
pub(crate) async fn claim_early(tx: &mut PgConnection, claims: &[EarlyClaim]) -> Result<(), ReconcilerError> {
    if claims.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "/* reconciler.claim_early */
         insert into upwrite.claims (source, table_name, key, mutation, partition)
         select w.source, w.table_name, w.key, w.mutation, held.partition
           from unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) with ordinality
                as w (source, table_name, key, mutation, n)
          cross join lateral (select c.partition from upwrite.claims c where c.mutation = w.mutation
                               order by c.source, c.table_name, c.key limit 1 for key share) held
          order by w.n
             on conflict do nothing",
    )
    .bind(claims.iter().map(|claim| claim.table.source.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.table.table.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.key.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.mutation.0).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(doing("claiming created records"))?;
    Ok(())
}
