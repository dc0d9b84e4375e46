//! Back to work after a restore, a truncation, a failover to an older state (whatever parts the
//! database from its log). Behind a closed gate, with every step such that it may be done twice: killed in the middle, it is run again.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use upwrite_events::Position;

use super::connect::{connect, run};
use super::error::{RebuildError, doing};
use super::expected::STATUSES;
use super::mutations::{Lives, mutations};
use super::positions::{Positions, partitions};
use super::told::ProjectionsReport;
use super::{Rebuild, claims, doubt, positions, table};

/// The log that the deployment is bound to from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// The Kafka cluster's id; `None` on the embedded engine.
    pub log_cluster: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoverReport {
    /// Partitions whose position was beyond the log's end, or before its beginning, and was set to it.
    pub positions_set: u64,
    pub projections: ProjectionsReport,
    /// Mutations that were unfinished and are in doubt now.
    pub in_doubt: u64,
    /// Of mutations that the log does not know any more: those that were unfinished, and are in doubt for good.
    pub lost: u64,
    /// Claims that hold now.
    pub claims: u64,
    /// Tables that are read anew from upstream.
    pub tables: u64,
    /// Records that are, besides, read again by id: what upstream no longer has goes by that.
    pub rereads: u64,
    pub took: Duration,
}

const GATE: &str = "the deployment is being recovered";
/// How long transactions that write claims may take to end.
const CLAIMS_PATIENCE: &str = "set local lock_timeout = '30s'";

impl Rebuild {
    /// Recovers the deployment. Every stage must have been stopped: reconcilers that still run are fenced off and end,
    /// new mutations are refused until the end.
    ///
    /// The gate is closed first and opened last. In between: positions are set to what the log has; claims, mutations and
    /// records are made what it says; what was unfinished is in doubt, by events in the log; every table is asked to be
    /// read anew; the database and log that are here are recorded as the ones that belong together.
    ///
    /// # Errors
    /// The gate stays closed then, until a later run ends well.
    pub async fn recover(&self, binding: &Binding) -> Result<RecoverReport, RebuildError> {
        let begun = Instant::now();
        let mut report = RecoverReport::default();
        let mut connection = connect(&self.options).await?;
        self.told.tell("closing the gate", None, 0, 0);
        close(&mut connection).await?;
        positions::ensure(&mut connection, self.log.as_ref()).await?;
        report.positions_set = self.set_positions(&mut connection).await?;
        let (owners, behind) = doubt::take(&self.log).await?;

        let reached = positions::read(&mut connection).await?;
        let starts = positions::starts(self.log.as_ref(), &reached).await?;
        let mut lives = Lives::begin(&mut connection, self, starts).await?;
        report.projections.mutations = mutations(&mut connection, &mut lives, false).await?;
        let specs = table::specs(&mut connection).await?;
        report.projections.records = self.all_records(specs.keys().cloned().collect(), false).await?;

        self.told.tell("marking what is in doubt", None, 0, 0);
        lives.advance(&mut connection, &behind).await?;
        report.in_doubt = doubt::mark(&mut connection, &self.log, &mut lives, &owners).await?;
        report.lost = lost(&mut connection).await?;
        self.told.tell("claiming", None, 0, 0);
        report.claims = claims::replace(&mut connection, &lives, &specs).await?;
        self.told.tell("asking for a sweep", None, 0, 0);
        (report.tables, report.rereads) = sweep(&mut connection).await?;
        open(&mut connection, binding).await?;
        report.took = begun.elapsed();
        tracing::info!(?report, "recovered");
        let _ = connection.close().await;
        Ok(report)
    }

    /// Positions that the log does not have become its end, or its beginning. Raises every epoch: reconcilers of before
    /// can no longer commit.
    async fn set_positions(&self, connection: &mut PgConnection) -> Result<u64, RebuildError> {
        let (mut starts, mut ends) = (Positions::new(), Positions::new());
        for partition in partitions(self.log.as_ref()) {
            starts.insert(partition, self.log.start(partition).await?);
            ends.insert(partition, self.log.end(partition).await?);
        }
        let numbers = |of: &Positions| of.values().map(|position: &Position| position.0).collect::<Vec<_>>();
        let mut tx = connection.begin().await.map_err(doing("setting positions"))?;
        let set: i64 = sqlx::query_scalar(
            "/* rebuild.set_positions */
             with wanted as materialized (
                 select x.*, p.next_position as before
                   from unnest($1::text[], $2::int4[], $3::int8[], $4::int8[]) as x (stream, number, first, behind)
                   join upwrite.positions p on p.stream = x.stream and p.partition = x.number
                    for update of p),
             moved as (
                 update upwrite.positions p
                    set epoch = p.epoch + 1, stamp_us = null,
                        next_position = greatest(least(p.next_position, w.behind), w.first)
                   from wanted w where p.stream = w.stream and p.partition = w.number),
             letters as (
                 delete from upwrite.dead_letters d using wanted w
                  where d.stream = w.stream and d.partition = w.number and d.position >= w.behind)
             select count(*) from wanted where before > behind or before < first",
        )
        .bind(ends.keys().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
        .bind(ends.keys().map(|partition| i32::from(partition.number)).collect::<Vec<_>>())
        .bind(numbers(&starts))
        .bind(numbers(&ends))
        .fetch_one(&mut *tx)
        .await
        .map_err(doing("setting positions"))?;
        tx.commit().await.map_err(doing("setting positions"))?;
        Ok(u64::try_from(set).unwrap_or_default())
    }
}

/// No submission gets by any more once this has returned (see `upwrite.append_batch`).
async fn close(connection: &mut PgConnection) -> Result<(), RebuildError> {
    let close = sqlx::query("/* rebuild.close */ update upwrite.deployment set gate = $1").bind(GATE);
    close.execute(&mut *connection).await.map_err(doing("closing the gate"))?;
    let mut tx = connection.begin().await.map_err(doing("waiting for submissions"))?;
    run(&mut tx, "waiting for submissions", CLAIMS_PATIENCE).await?;
    run(&mut tx, "waiting for submissions", "lock table upwrite.claims in share mode").await?;
    tx.commit().await.map_err(doing("waiting for submissions"))
}

/// Mutations whose request went with a part of the log: nothing can come of them any more.
async fn lost(connection: &mut PgConnection) -> Result<u64, RebuildError> {
    let sql = format!(
        "/* rebuild.lost */ update upwrite.mutations m
            set state = case when finished_at is null then 'in_doubt' else state end,
                sqlstate = case when finished_at is null then '40003' else sqlstate end,
                message = case when finished_at is null
                          then 'whether the change was applied is not known: the event log was restored to an earlier state'
                          else message end,
                finished_at = coalesce(finished_at, clock_timestamp()),
                settled_at = coalesce(settled_at, clock_timestamp()), not_before = null, released = true
          where not released and not exists (select from {STATUSES} s where s.id = m.id)"
    );
    let lost = sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map_err(doing("ending lost mutations"))?;
    Ok(lost.rows_affected())
}

/// Everything is read anew: tables from their beginning, and what they hold now by id, since what is gone upstream shows
/// in no page.
async fn sweep(connection: &mut PgConnection) -> Result<(u64, u64), RebuildError> {
    let mut tx = connection.begin().await.map_err(doing("asking for a sweep"))?;
    let tables =
        sqlx::query("/* rebuild.sweep */ update upwrite.tables set backfilled_at = null, backfill_cursor = null")
            .execute(&mut *tx)
            .await
            .map_err(doing("asking for a sweep"))?;
    let rereads = sqlx::query(
        "/* rebuild.reread */ insert into upwrite.rereads (source, table_name, key)
         select r.source, r.table_name, r.key from upwrite.records r where not r.deleted
         on conflict (source, table_name, key) do update set ticket = default",
    )
    .execute(&mut *tx)
    .await
    .map_err(doing("asking for a sweep"))?;
    tx.commit().await.map_err(doing("asking for a sweep"))?;
    Ok((tables.rows_affected(), rereads.rows_affected()))
}

/// The database and log that are here belong together from now on.
async fn open(connection: &mut PgConnection, binding: &Binding) -> Result<(), RebuildError> {
    let open = sqlx::query(
        "/* rebuild.open */ update upwrite.deployment
            set system_identifier = (select s.system_identifier::text from pg_control_system() s),
                timeline = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
                log_cluster = $1, gate = null",
    );
    open.bind(&binding.log_cluster).execute(connection).await.map_err(doing("opening the gate"))?;
    Ok(())
}
