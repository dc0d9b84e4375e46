//! Mends what differs: batch after batch, each in a transaction that holds the positions, so that what the log says up
//! to there is exactly what the rows should be.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use upwrite_events::TableName;

use super::compare::SUSPECTS;
use super::connect::run;
use super::error::{RebuildError, doing};
use super::feed::Feed;
use super::judge::{Judgement, RecordRepair, RowRepair, judge};
use super::look::look;
use super::report::{ProgressSender, TableReport};
use super::scope::Scope;
use super::shadow::MENDING;
use super::write::RowWriter;
use super::{positions, shadow};

/// Keys in one transaction: reconcilers wait for it.
const BATCH: usize = 2_000;
/// How often keys with locked rows are tried, and the pause between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Mending<'a> {
    pub(super) table: &'a TableName,
    pub(super) scope: Scope,
    /// What the log does not know should not be there.
    pub(super) complete: bool,
    pub(super) progress: &'a ProgressSender,
}

impl Mending<'_> {
    /// All of the `differing` suspects.
    pub(super) async fn run(
        &self,
        connection: &mut PgConnection,
        feed: &mut Feed,
        differing: u64,
        report: &mut TableReport,
    ) -> Result<(), RebuildError> {
        for sql in [
            format!(
                "create temporary table {MENDING} as
                 select i.* from {} i where i._key in (select key from {SUSPECTS})",
                shadow::IMAGES
            ),
            format!("create index on {MENDING} (_key)"),
            format!("analyze {MENDING} (_key)"),
        ] {
            run(connection, "gathering what differs", sql).await?;
        }
        let mut locked = Vec::new();
        let mut from = 0;
        while from < differing {
            let keys = self.numbered(connection, from).await?;
            locked.extend(self.batch(connection, feed, &keys, report).await?);
            from += u64::try_from(BATCH).unwrap_or(u64::MAX);
            self.progress.send("mending", Some(self.table), from.min(differing), differing);
        }
        for _ in 0..LOCK_TRIES {
            if locked.is_empty() {
                break;
            }
            tokio::time::sleep(LOCK_PAUSE).await;
            let mut still = Vec::new();
            for keys in locked.chunks(BATCH) {
                still.extend(self.batch(connection, feed, keys, report).await?);
            }
            locked = still;
        }
        report.locked += u64::try_from(locked.len()).unwrap_or_default();
        Ok(())
    }

    async fn numbered(&self, connection: &mut PgConnection, from: u64) -> Result<Vec<String>, RebuildError> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let sql = format!("/* rebuild.suspects */ select key from {SUSPECTS} where n > $1 and n <= $2 order by n");
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(from)
            .bind(from.saturating_add(i64::try_from(BATCH).unwrap_or(i64::MAX)))
            .fetch_all(connection)
            .await
            .map_err(doing("reading what differs"))
    }

    /// One transaction; returns the keys that a lock kept from being mended.
    async fn batch(
        &self,
        connection: &mut PgConnection,
        feed: &mut Feed,
        keys: &[String],
        report: &mut TableReport,
    ) -> Result<Vec<String>, RebuildError> {
        // Most of it before anybody waits.
        let ahead = positions::read(connection).await?;
        let into = shadow::copy_into(shadow::TAIL);
        feed.advance(connection, &into, &ahead, self.progress).await?;
        let mut tx = connection.begin().await.map_err(doing("beginning to mend"))?;
        let held = hold(&mut tx).await?;
        // From here on every error ends the operation, but for those under a savepoint: the feed does not read twice.
        feed.advance(&mut tx, &into, &held, self.progress).await?;
        self.fold_tail(&mut tx, feed).await?;
        let mut counts = TableReport::default();
        let mut savepoint = tx.begin().await.map_err(doing("setting a savepoint"))?;
        let locked = match self.mend(&mut savepoint, feed, keys, &mut counts).await {
            Ok(locked) => {
                savepoint.commit().await.map_err(doing("releasing a savepoint"))?;
                locked
            }
            Err(error) if error.is_lock() => {
                savepoint.rollback().await.map_err(doing("rolling back to a savepoint"))?;
                counts = TableReport::default();
                keys.to_vec()
            }
            Err(error) => return Err(error),
        };
        tx.commit().await.map_err(doing("committing what was mended"))?;
        add(report, &counts);
        Ok(locked)
    }

    async fn fold_tail(&self, tx: &mut PgConnection, feed: &Feed) -> Result<(), RebuildError> {
        let sql = format!(
            "/* rebuild.tail */ insert into {MENDING}
             select t.* from {0} t where exists (select from {SUSPECTS} s where s.key = t._key)",
            shadow::TAIL
        );
        if run(tx, "adding what came since", sql).await? > 0 {
            let only = format!("_key in (select _key from {})", shadow::TAIL);
            shadow::fold(tx, &feed.layout, &feed.shapes, MENDING, &only).await?;
        }
        run(tx, "adding what came since", format!("delete from {}", shadow::TAIL)).await?;
        Ok(())
    }

    async fn mend(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        keys: &[String],
        counts: &mut TableReport,
    ) -> Result<Vec<String>, RebuildError> {
        let mut work = Vec::new();
        for suspect in look(tx, feed, self.table, keys).await? {
            match judge(&suspect, self.scope, self.complete) {
                Judgement::Mend(RowRepair::Stay, RecordRepair::Stay) => {}
                Judgement::Mend(row, record) => work.push((suspect, row, record)),
                Judgement::Waiting => counts.waiting += 1,
                Judgement::Unknown => counts.unknown += 1,
            }
        }
        let writer = RowWriter { table: self.table };
        let locked = writer.lock(tx, feed, &work).await?;
        work.retain(|(suspect, ..)| !locked.contains(&suspect.key));
        match writer.under_savepoint(tx, feed, &work).await? {
            Ok(()) => work.iter().for_each(|(_, row, record)| count(counts, *row, *record)),
            Err(_) => {
                for one in work.chunks(1) {
                    match writer.under_savepoint(tx, feed, one).await? {
                        Ok(()) => one.iter().for_each(|(_, row, record)| count(counts, *row, *record)),
                        Err(sqlstate) => {
                            tracing::warn!(table = %self.table, sqlstate, "a row was refused by the synced table");
                            counts.refused += 1;
                        }
                    }
                }
            }
        }
        Ok(locked.into_iter().collect())
    }
}

/// Makes the rest of the transaction one in which no reconciler commits; gives the positions.
pub(super) async fn hold(tx: &mut PgConnection) -> Result<positions::Positions, RebuildError> {
    for _ in 0..LOCK_TRIES {
        let mut savepoint = tx.begin().await.map_err(doing("setting a savepoint"))?;
        match positions::hold(&mut savepoint).await {
            Ok(held) => {
                savepoint.commit().await.map_err(doing("releasing a savepoint"))?;
                return Ok(held);
            }
            Err(error) if error.is_lock() => {
                savepoint.rollback().await.map_err(doing("rolling back to a savepoint"))?;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(RebuildError::Busy { what: "the positions are free" })
}

fn count(counts: &mut TableReport, row: RowRepair, record: RecordRepair) {
    match row {
        RowRepair::Stay => {}
        RowRepair::Insert => counts.inserted += 1,
        RowRepair::Change => counts.mended += 1,
        RowRepair::Delete => counts.deleted += 1,
    }
    counts.records += u64::from(record != RecordRepair::Stay);
}

fn add(report: &mut TableReport, counts: &TableReport) {
    report.mended += counts.mended;
    report.inserted += counts.inserted;
    report.deleted += counts.deleted;
    report.records += counts.records;
    report.unknown += counts.unknown;
    report.waiting += counts.waiting;
    report.refused += counts.refused;
}
