//! Claims whose request never came (hazard B6): the proxy died, or its produce failed, after it had claimed. They are
//! ended by a `MutationVoided` in the request's own partition: whichever of the two stands first there, counts. How old
//! a claim is decides only when that is done.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use upwrite_event_log::{EventLog, LogError};
use upwrite_events::{Event, MutationId, MutationVoided, Partition, Position, Stream};
use uuid::Uuid;

use crate::Config;
use crate::error::{ReconcilerError, doing};

/// Aged claims of one partition read in one round.
const MAX_AGED: i64 = 1_000;
/// Claims that were looked at once are not looked at again before this has passed.
const FULL_ROUND: Duration = Duration::from_secs(600);

/// Voids orphans of these partitions until dropped. A failure is logged, and the next round tries again.
pub(crate) async fn keep_voided(config: &Config, options: &PgConnectOptions, log: &dyn EventLog, items: &[i16]) {
    loop {
        tokio::time::sleep(config.void_check).await;
        if let Err(error) = rounds(config, options, log, items).await {
            tracing::warn!(%error, "claims without a request are looked for again");
        }
    }
}

async fn rounds(
    config: &Config,
    options: &PgConnectOptions,
    log: &dyn EventLog,
    items: &[i16],
) -> Result<(), ReconcilerError> {
    let session = format!("{}ms", config.session_timeout.as_millis());
    let options = options.clone().application_name("upwrite void").options([("statement_timeout", session)]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(doing("connecting to void claims"))?;
    let mut orphans = Orphans::default();
    loop {
        orphans.look(&mut connection, config.void_after, items).await?;
        orphans.bound(log).await?;
        orphans.void(&mut connection, log).await?;
        tokio::time::sleep(config.void_check).await;
    }
}

/// Mutations that have an aged claim and are not (yet) in `upwrite.mutations`.
#[derive(Debug, Default)]
struct Orphans {
    /// With the place up to which the partition must have been folded before it is sure that no request is there. `None`:
    /// not yet known.
    suspects: HashMap<MutationId, (Partition, Option<Position>)>,
    /// Older claims have been looked at.
    looked_up_to: Option<OffsetDateTime>,
    full_round: Option<Instant>,
}

impl Orphans {
    async fn look(
        &mut self,
        connection: &mut PgConnection,
        void_after: Duration,
        items: &[i16],
    ) -> Result<(), ReconcilerError> {
        if self.full_round.is_none_or(|at| at.elapsed() > FULL_ROUND) {
            (self.full_round, self.looked_up_to) = (Some(Instant::now()), None);
        }
        let rows: Vec<(OffsetDateTime, Option<Uuid>, Option<i16>)> = sqlx::query_as(
            "/* reconciler.aged_claims */
             select until.at, aged.mutation, item
               from (select clock_timestamp() - $2 * interval '1 microsecond' as at) as until
              cross join unnest($1::int2[]) as item
               left join lateral (
                    select c.mutation from upwrite.claims c
                     where c.partition = item and c.claimed_at < until.at
                       and c.claimed_at >= coalesce($3, '-infinity'::timestamptz)
                       and not exists (select from upwrite.mutations m where m.id = c.mutation)
                     limit $4) as aged on true",
        )
        .bind(items)
        .bind(i64::try_from(void_after.as_micros()).unwrap_or(i64::MAX))
        .bind(self.looked_up_to)
        .bind(MAX_AGED)
        .fetch_all(connection)
        .await
        .map_err(doing("looking for claims without a request"))?;
        let mut found: HashMap<i16, i64> = HashMap::new();
        for (_, mutation, item) in &rows {
            let (Some(mutation), Some(item)) = (mutation, item) else { continue };
            *found.entry(*item).or_default() += 1;
            let partition = Partition { stream: Stream::Mutations, number: u16::try_from(*item).unwrap_or_default() };
            self.suspects.entry(MutationId(*mutation)).or_insert((partition, None));
        }
        if found.values().all(|count| *count < MAX_AGED) {
            self.looked_up_to = rows.first().map(|(until, ..)| *until);
        }
        Ok(())
    }

    /// A request that is there at all stands before where its partition ends now that the claim has aged; one that comes
    /// later finds the void.
    async fn bound(&mut self, log: &dyn EventLog) -> Result<(), LogError> {
        let mut ends: HashMap<Partition, Position> = HashMap::new();
        for (partition, bound) in self.suspects.values_mut().filter(|(_, bound)| bound.is_none()) {
            let end = match ends.get(partition) {
                Some(end) => *end,
                None => *ends.entry(*partition).or_insert(log.end(*partition).await?),
            };
            *bound = Some(end);
        }
        Ok(())
    }

    async fn void(&mut self, connection: &mut PgConnection, log: &dyn EventLog) -> Result<(), ReconcilerError> {
        if self.suspects.is_empty() {
            return Ok(());
        }
        for (mutation, verdict) in self.judge(connection).await? {
            if verdict == "known" {
                self.suspects.remove(&mutation);
            }
            let Some((partition, bound)) = self.suspects.get_mut(&mutation).filter(|_| verdict == "orphan") else {
                continue;
            };
            tracing::warn!(%mutation, %partition, "claimed records whose request never came are freed");
            let reason = "the request did not come".to_owned();
            let event = Event::MutationVoided(MutationVoided { mutation, reason });
            let positions = log.append(*partition, vec![event]).await?;
            metrics::counter!("upwrite_reconciler_voids_total").increment(1);
            // Not again before it is known what that did.
            *bound = positions.last().map(|position| position.next());
        }
        Ok(())
    }

    /// Of each suspect: `known` if it is none (any more), `orphan` if its partition has been folded far enough.
    async fn judge(&self, connection: &mut PgConnection) -> Result<Vec<(MutationId, String)>, ReconcilerError> {
        let suspects: Vec<_> = self.suspects.iter().collect();
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "/* reconciler.judge_orphans */
             select s.mutation,
                    case when exists (select from upwrite.mutations m where m.id = s.mutation)
                              or not exists (select from upwrite.claims c where c.mutation = s.mutation) then 'known'
                         when p.next_position >= s.bound then 'orphan'
                         else 'open' end
               from unnest($1::uuid[], $2::int8[], $3::int8[]) as s (mutation, partition, bound)
               join upwrite.positions p on p.stream = 'mutations' and p.partition = s.partition",
        )
        .bind(suspects.iter().map(|(mutation, _)| mutation.0).collect::<Vec<_>>())
        .bind(suspects.iter().map(|(_, (partition, _))| i64::from(partition.number)).collect::<Vec<_>>())
        .bind(suspects.iter().map(|(_, (_, bound))| bound.map_or(i64::MAX, |bound| bound.0)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(doing("looking whether a request has come"))?;
        Ok(rows.into_iter().map(|(mutation, verdict)| (MutationId(mutation), verdict)).collect())
    }
}
