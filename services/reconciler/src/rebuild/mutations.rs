//! `upwrite.mutations` and the owners of partitions: folded from the log, compared, mended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use upwrite_event_log::{EventLog, LogRecord};
use upwrite_events::{MutationId, OwnerId, Partition, PartitionFold, Position, Stream, TableName, TableSpec};
use uuid::Uuid;

use super::connect::{connect, copy, run};
use super::encode::text;
use super::error::{RebuildError, doing};
use super::expected::{OUTLIVED, REMOVE, STATUSES, differing, mend};
use super::feed::forget_released;
use super::mend::hold;
use super::positions::Positions;
use super::report::{MutationsReport, ProgressSender, ProjectionsReport};
use super::scan::scan;
use super::scope::Scope;
use super::table::specs;
use super::{Rebuild, positions};
use crate::state::{State, Tracked};
use crate::status::Status;

const COPY_BYTES: usize = 1 << 20;
/// Mutations in one transaction: reconcilers wait for it.
const BATCH: usize = 1_000;

/// Reads the mutations stream on and on. What it has read is in temporary tables and, of what is not released, in memory.
pub(super) struct MutationFeed {
    log: Arc<dyn EventLog>,
    progress: ProgressSender,
    specs: HashMap<TableName, TableSpec>,
    next: Positions,
    pub(super) states: BTreeMap<u16, State>,
    written: i64,
    pub(super) events: u64,
}

impl MutationFeed {
    pub(super) async fn begin(
        connection: &mut PgConnection,
        rebuild: &Rebuild,
        starts: Positions,
    ) -> Result<Self, RebuildError> {
        for sql in [
            format!("create temporary table {STATUSES} (id uuid, n int8, status jsonb)"),
            format!("create index on {STATUSES} (id)"),
            format!("create temporary table {OUTLIVED} (id uuid)"),
        ] {
            run(connection, "making a temporary table", sql).await?;
        }
        Ok(Self {
            log: Arc::clone(&rebuild.log),
            progress: rebuild.progress.clone(),
            specs: specs(connection).await?,
            next: starts,
            states: BTreeMap::new(),
            written: 0,
            events: 0,
        })
    }

    /// Folds what stands before `to` and has not been folded.
    pub(super) async fn advance(&mut self, connection: &mut PgConnection, to: &Positions) -> Result<(), RebuildError> {
        let mutations: Positions =
            to.iter().filter(|(of, _)| of.stream == Stream::Mutations).map(|(of, to)| (*of, *to)).collect();
        let total = positions::between(&self.next, &mutations);
        let mut done = 0;
        let mut out = StatusLines::default();
        for (partition, to) in &mutations {
            let from = self.next.get(partition).copied().unwrap_or(Position::START);
            if from >= *to {
                continue;
            }
            let mut parts = scan(Arc::clone(&self.log), *partition, from, *to, |records| records).boxed();
            while let Some(part) = parts.next().await {
                let part = part?;
                self.fold(*partition, part.loaded, &mut out);
                if out.lines.len() >= COPY_BYTES {
                    out.write(connection).await?;
                }
                done += part.positions;
                self.progress.send("reading mutations", None, done, total);
            }
            drop(parts);
            self.next.insert(*partition, *to);
        }
        self.events += done;
        for state in self.states.values() {
            for tracked in state.tracked.values() {
                self.written += 1;
                out.status(tracked, self.written);
            }
        }
        out.write(connection).await
    }

    fn fold(&mut self, partition: Partition, records: Vec<LogRecord>, out: &mut StatusLines) {
        let specs = &self.specs;
        let state =
            self.states.entry(partition.number).or_insert_with(|| State { specs: specs.clone(), ..State::default() });
        for record in records {
            let plan = state.plan(vec![record]);
            out.outlived.extend(plan.outlived.iter().map(|mutation| mutation.0));
            for mutation in plan.touched {
                if let Some(tracked) = forget_released(state, partition, mutation) {
                    self.written += 1;
                    out.status(&tracked, self.written);
                }
            }
        }
    }

    fn owners(&self) -> impl Iterator<Item = (u16, Option<OwnerId>)> + '_ {
        let owner = |number: u16, state: &State| state.folds.get(&number).and_then(PartitionFold::owner);
        self.states.iter().map(move |(number, state)| (*number, owner(*number, state)))
    }
}

/// Lines on their way into the temporary tables.
#[derive(Default)]
struct StatusLines {
    lines: Vec<u8>,
    outlived: Vec<Uuid>,
}

impl StatusLines {
    fn status(&mut self, tracked: &Tracked, n: i64) {
        let life = tracked.status.lifecycle.as_ref();
        let status = Status {
            finished: life.is_some_and(|life| life.phase.is_finished()),
            released: life.is_some_and(|life| life.is_released()),
            ..tracked.status.clone()
        };
        let json = serde_json::to_string(&status).unwrap_or_default();
        self.lines.extend_from_slice(format!("{}\t{n}\t", status.id).as_bytes());
        text(&mut self.lines, &json);
        self.lines.push(b'\n');
    }

    async fn write(&mut self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        copy(connection, &format!("copy pg_temp.{STATUSES} from stdin"), &self.lines).await?;
        self.lines.clear();
        if !self.outlived.is_empty() {
            let sql = format!("/* rebuild.outlived */ insert into {OUTLIVED} select unnest($1::uuid[])");
            let outlived = std::mem::take(&mut self.outlived);
            let inserted = sqlx::query(AssertSqlSafe(sql)).bind(outlived).execute(connection).await;
            inserted.map_err(doing("noting mutations that outlived a rollback"))?;
        }
        Ok(())
    }
}

impl Rebuild {
    /// Makes `upwrite.mutations`, the partitions' owners and `upwrite.records` what the log says; live. Claims are not
    /// touched: they are replaced only behind the recovery barrier, by [`Rebuild::recover`].
    ///
    /// # Errors
    /// As [`Rebuild::table`].
    pub async fn projections(&self) -> Result<ProjectionsReport, RebuildError> {
        let mut connection = connect(&self.options).await?;
        positions::ensure(&mut connection, self.log.as_ref()).await?;
        let reached = positions::read(&mut connection).await?;
        let starts = positions::starts(self.log.as_ref(), &reached).await?;
        let complete = positions::are_complete(&starts);
        let mut feed = MutationFeed::begin(&mut connection, self, starts).await?;
        let mutations = mutations(&mut connection, &mut feed, complete).await?;
        let tables: Vec<TableName> = feed.specs.keys().cloned().collect();
        let _ = connection.close().await;
        Ok(ProjectionsReport { mutations, records: self.all_records(tables, true).await? })
    }

    pub(super) async fn all_records(
        &self,
        mut tables: Vec<TableName>,
        trusted: bool,
    ) -> Result<Vec<(TableName, super::TableReport)>, RebuildError> {
        tables.sort();
        let mut records = Vec::new();
        for table in tables {
            let report = self.one_table(&table, Scope::Records, trusted).await?;
            records.push((table, report));
        }
        Ok(records)
    }
}

/// Folds to the reconcilers' positions, compares, mends.
pub(super) async fn mutations(
    connection: &mut PgConnection,
    feed: &mut MutationFeed,
    complete: bool,
) -> Result<MutationsReport, RebuildError> {
    let begun = Instant::now();
    let reached = positions::read(connection).await?;
    feed.advance(connection, &reached).await?;
    let mut tx = connection
        .begin_with("begin isolation level repeatable read")
        .await
        .map_err(doing("beginning the comparison"))?;
    let snapshot = positions::read(&mut tx).await?;
    feed.advance(&mut tx, &snapshot).await?;
    feed.progress.send("comparing mutations", None, 0, 0);
    run(&mut tx, "comparing mutations", format!("analyze {STATUSES} (id, n)")).await?;
    let suspects: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(differing(complete)))
        .fetch_all(&mut *tx)
        .await
        .map_err(doing("comparing mutations"))?;
    let mut report = MutationsReport { log_is_complete: complete, ..MutationsReport::default() };
    let count = |sql: String| sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
    let known = count(format!("/* rebuild.known */ select count(distinct id) from {STATUSES}"));
    let unknown = count(format!(
        "/* rebuild.unknown */ select count(*) from upwrite.mutations m
          where not exists (select from {STATUSES} s where s.id = m.id)"
    ));
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    report.mutations = number(known.fetch_one(&mut *tx).await.map_err(doing("counting mutations"))?);
    if !complete {
        report.unknown = number(unknown.fetch_one(&mut *tx).await.map_err(doing("counting mutations"))?);
    }
    tx.commit().await.map_err(doing("ending the comparison"))?;

    // Once at least, for the owners.
    let mut batches: Vec<&[Uuid]> = suspects.chunks(BATCH).collect();
    if batches.is_empty() {
        batches.push(&[]);
    }
    let total = number(i64::try_from(suspects.len()).unwrap_or(i64::MAX));
    let mut done = 0;
    for batch in batches {
        mend_batch(connection, feed, batch, complete, &mut report).await?;
        done += number(i64::try_from(batch.len()).unwrap_or(i64::MAX));
        feed.progress.send("mending mutations", None, done, total);
    }
    report.events = feed.events;
    report.took = begun.elapsed();
    tracing::info!(?report, "mutations rebuilt from the log");
    Ok(report)
}

async fn mend_batch(
    connection: &mut PgConnection,
    feed: &mut MutationFeed,
    ids: &[Uuid],
    complete: bool,
    report: &mut MutationsReport,
) -> Result<(), RebuildError> {
    let ahead = positions::read(connection).await?;
    feed.advance(connection, &ahead).await?;
    let mut tx = connection.begin().await.map_err(doing("beginning to mend mutations"))?;
    let held = hold(&mut tx).await?;
    feed.advance(&mut tx, &held).await?;
    let before: Vec<Uuid> =
        sqlx::query_scalar("/* rebuild.before */ select id from upwrite.mutations where id = any($1)")
            .bind(ids)
            .fetch_all(&mut *tx)
            .await
            .map_err(doing("mending mutations"))?;
    if !ids.is_empty() {
        let query = sqlx::query(AssertSqlSafe(mend())).bind(ids).execute(&mut *tx);
        let written = query.await.map_err(doing("mending mutations"))?.rows_affected();
        let removed = if complete {
            let query = sqlx::query(REMOVE).bind(ids).execute(&mut *tx);
            query.await.map_err(doing("mending mutations"))?.rows_affected()
        } else {
            0
        };
        let there = u64::try_from(before.len()).unwrap_or_default().saturating_sub(removed);
        report.mended += there.min(written);
        report.inserted += written.saturating_sub(there);
        report.deleted += removed;
    }
    for (number, owner) in feed.owners() {
        let put_right = sqlx::query(
            "/* rebuild.owner */ update upwrite.positions set owner = $2
              where stream = 'mutations' and partition = $1 and owner is distinct from $2",
        )
        .bind(i32::from(number))
        .bind(owner.map(|owner| owner.0));
        let put_right = put_right.execute(&mut *tx).await.map_err(doing("mending owners"))?;
        report.owners += put_right.rows_affected();
    }
    tx.commit().await.map_err(doing("committing what was mended"))
}

/// What is not released: the fold's word and the request.
pub(super) fn unreleased(feed: &MutationFeed) -> impl Iterator<Item = (u16, MutationId, &Tracked)> {
    feed.states
        .iter()
        .flat_map(|(number, state)| state.tracked.iter().map(move |(mutation, tracked)| (*number, *mutation, tracked)))
}
