//! Mends what differs: batch after batch, each in a transaction that holds the positions, so that what the log says up
//! to there is exactly what the rows should be.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use upwrite_events::{Interval, TableName};

use super::compare::{SUSPECTS, differs};
use super::connect::run;
use super::error::{RebuildError, doing};
use super::feed::Feed;
use super::fold::is_later;
use super::table::Of;
use super::told::{TableReport, Told};
use super::{positions, shadow};
use crate::columns::quoted;
use crate::merge::RecordState;

/// The images of what differs.
const MENDING: &str = "upwrite_mending";
/// Keys in one transaction: reconcilers wait for it.
const BATCH: usize = 2_000;
/// How often keys are tried whose rows somebody has locked, and the pause between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Mending<'a> {
    pub(super) table: &'a TableName,
    pub(super) of: Of,
    /// What the log does not know should not be there.
    pub(super) complete: bool,
    pub(super) told: &'a Told,
}

/// One key, as the log and the live tables have it.
#[derive(Debug, Clone)]
struct Found {
    key: String,
    /// Of the last image: order, deleted, shape. `None`: the log does not know the key.
    image: Option<(RecordState, bool, i32)>,
    /// There is a row; and whether it differs from the image.
    row: Option<bool>,
    /// `upwrite.records`: order, deleted.
    record: Option<(RecordState, bool)>,
    parked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowTo {
    Stay,
    Insert,
    Change,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordTo {
    Stay,
    Write,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// As it should be, or to be made so.
    Mend(RowTo, RecordTo),
    Waiting,
    Unknown,
}

/// What is to be done about a key. Pure.
fn judge(found: &Found, of: Of, complete: bool) -> Judged {
    let rows = of == Of::RowsAndRecords;
    let (row, record) = match &found.image {
        None => (
            if rows && found.row.is_some() { RowTo::Delete } else { RowTo::Stay },
            if found.record.is_some() { RecordTo::Remove } else { RecordTo::Stay },
        ),
        Some((state, deleted, _)) => (
            match (rows, deleted, found.row) {
                (false, ..) | (true, true, None) | (true, false, Some(false)) => RowTo::Stay,
                (true, false, None) => RowTo::Insert,
                (true, false, Some(true)) => RowTo::Change,
                (true, true, Some(_)) => RowTo::Delete,
            },
            match &found.record {
                Some((held, held_deleted)) if held == state && held_deleted == deleted => RecordTo::Stay,
                _ => RecordTo::Write,
            },
        ),
    };
    if (row, record) == (RowTo::Stay, RecordTo::Stay) {
        return Judged::Mend(row, record);
    }
    let lost_part_may_know = match (&found.image, &found.record) {
        (None, _) => true,
        (Some((state, ..)), Some((held, deleted))) => is_later(held, *deleted, state),
        (Some(_), None) => false,
    };
    if !complete && lost_part_may_know {
        Judged::Unknown
    } else if found.parked {
        Judged::Waiting
    } else {
        Judged::Mend(row, record)
    }
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
            self.told.tell("mending", Some(self.table), from.min(differing), differing);
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

    /// One transaction; returns the keys that somebody's lock kept from being mended.
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
        feed.advance(connection, &into, &ahead, self.told).await?;
        let mut tx = connection.begin().await.map_err(doing("beginning to mend"))?;
        let held = hold(&mut tx).await?;
        // From here on every error ends the operation, but for those under a savepoint: the feed does not read twice.
        feed.advance(&mut tx, &into, &held, self.told).await?;
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
        for found in self.look(tx, feed, keys).await? {
            match judge(&found, self.of, self.complete) {
                Judged::Mend(RowTo::Stay, RecordTo::Stay) => {}
                Judged::Mend(row, record) => work.push((found, row, record)),
                Judged::Waiting => counts.waiting += 1,
                Judged::Unknown => counts.unknown += 1,
            }
        }
        let locked = self.lock(tx, feed, &work).await?;
        work.retain(|(found, ..)| !locked.contains(&found.key));
        match self.under_savepoint(tx, feed, &work).await? {
            Ok(()) => work.iter().for_each(|(_, row, record)| count(counts, *row, *record)),
            Err(_) => {
                for one in work.chunks(1) {
                    match self.under_savepoint(tx, feed, one).await? {
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

    async fn look(&self, tx: &mut PgConnection, feed: &Feed, keys: &[String]) -> Result<Vec<Found>, RebuildError> {
        let layout = &feed.layout;
        let sql = format!(
            "/* rebuild.look */
             select x.key, i._key is not null, i._version, i._begun, i._ended, i._mutation, i._deleted, i._shape,
                    l.{key} is not null, coalesce({differs}, false),
                    r.key is not null, r.vendor_version, r.seen_begun_us, r.seen_ended_us, r.by_mutation, r.deleted,
                    exists (select from upwrite.parked p
                             where p.source = $2 and p.table_name = $3 and p.key = x.key)
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
            .bind(&self.table.source)
            .bind(&self.table.table)
            .fetch_all(tx)
            .await
            .map_err(doing("looking at what differs"))?;
        rows.iter().map(found).collect::<sqlx::Result<_>>().map_err(doing("looking at what differs"))
    }

    /// Locks the rows that are to be changed; returns those that somebody else has locked.
    async fn lock(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        work: &[(Found, RowTo, RecordTo)],
    ) -> Result<HashSet<String>, RebuildError> {
        let mut locked = HashSet::new();
        for (wanted, strength) in [(RowTo::Change, "no key update"), (RowTo::Delete, "update")] {
            let keys: Vec<&str> =
                work.iter().filter(|(_, row, _)| *row == wanted).map(|(found, ..)| found.key.as_str()).collect();
            if keys.is_empty() {
                continue;
            }
            let sql = format!(
                "/* rebuild.lock */ select x.key from unnest($1::text[]) x (key)
                  where x.key::{key_type} not in (
                        select l.{key} from {relation} l where l.{key} = any($1::text[]::{key_type}[])
                           for {strength} skip locked)",
                key = feed.layout.key,
                key_type = feed.layout.key_type,
                relation = feed.layout.relation,
            );
            let busy: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(keys)
                .fetch_all(&mut *tx)
                .await
                .map_err(doing("locking rows"))?;
            locked.extend(busy);
        }
        Ok(locked)
    }

    /// `Err`: the SQLSTATE of what Postgres has against a row.
    async fn under_savepoint(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        work: &[(Found, RowTo, RecordTo)],
    ) -> Result<Result<(), String>, RebuildError> {
        let mut savepoint = tx.begin().await.map_err(doing("setting a savepoint"))?;
        match self.write(&mut savepoint, feed, work).await {
            Ok(()) => {
                savepoint.commit().await.map_err(doing("releasing a savepoint"))?;
                Ok(Ok(()))
            }
            Err(sqlx::Error::Database(error)) => {
                savepoint.rollback().await.map_err(doing("rolling back to a savepoint"))?;
                let sqlstate = error.code().map(|code| code.into_owned()).unwrap_or_default();
                let error = doing("mending rows")(sqlx::Error::Database(error));
                let is_servers = ["53", "57", "XX"].iter().any(|class| sqlstate.starts_with(class));
                if is_servers || error.is_lock() { Err(error) } else { Ok(Err(sqlstate)) }
            }
            Err(error) => Err(doing("mending rows")(error)),
        }
    }

    async fn write(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        work: &[(Found, RowTo, RecordTo)],
    ) -> sqlx::Result<()> {
        let layout = &feed.layout;
        let keys = |wanted: &[RowTo]| -> Vec<&Found> {
            work.iter().filter(|(_, row, _)| wanted.contains(row)).map(|(found, ..)| found).collect()
        };
        let mut by_shape: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for found in keys(&[RowTo::Insert, RowTo::Change]) {
            let shape = found.image.as_ref().map_or(0, |(_, _, shape)| *shape);
            by_shape.entry(shape).or_default().push(&found.key);
        }
        for (shape, keys) in by_shape {
            let spoken = feed.shapes.all().into_iter().nth(usize::try_from(shape).unwrap_or_default());
            let sql = upsert_sql(layout, &spoken.unwrap_or_default());
            sqlx::query(AssertSqlSafe(sql)).bind(keys).execute(&mut *tx).await?;
        }
        let deletes: Vec<&str> = keys(&[RowTo::Delete]).iter().map(|found| found.key.as_str()).collect();
        if !deletes.is_empty() {
            let sql = format!(
                "/* rebuild.delete */ delete from {} where {} = any($1::text[]::{}[])",
                layout.relation, layout.key, layout.key_type
            );
            sqlx::query(AssertSqlSafe(sql)).bind(deletes).execute(&mut *tx).await?;
        }
        self.write_records(tx, work).await
    }

    async fn write_records(&self, tx: &mut PgConnection, work: &[(Found, RowTo, RecordTo)]) -> sqlx::Result<()> {
        let keys = |wanted: RecordTo| -> Vec<&str> {
            work.iter().filter(|(_, _, record)| *record == wanted).map(|(found, ..)| found.key.as_str()).collect()
        };
        let sql = format!(
            "/* rebuild.records */ insert into upwrite.records
                    (source, table_name, key, vendor_version, seen_begun_us, seen_ended_us, by_mutation, deleted)
             select $2, $3, i._key, i._version, i._begun, i._ended, i._mutation, i._deleted
               from {MENDING} i where i._key = any($1)
             on conflict (source, table_name, key) do update set
                    vendor_version = excluded.vendor_version, seen_begun_us = excluded.seen_begun_us,
                    seen_ended_us = excluded.seen_ended_us, by_mutation = excluded.by_mutation,
                    deleted = excluded.deleted"
        );
        let remove = "/* rebuild.forget */ delete from upwrite.records
                       where key = any($1) and source = $2 and table_name = $3";
        for (sql, keys) in [(sql, keys(RecordTo::Write)), (remove.to_owned(), keys(RecordTo::Remove))] {
            if !keys.is_empty() {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(keys);
                query.bind(&self.table.source).bind(&self.table.table).execute(&mut *tx).await?;
            }
        }
        Ok(())
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

fn upsert_sql(layout: &super::encode::Layout, spoken: &super::shapes::Spoken) -> String {
    let (mut targets, mut values, mut sets) = (layout.key.clone(), format!("i._key::{}", layout.key_type), Vec::new());
    for column in layout.spoken(spoken) {
        let name = quoted(&column.name);
        targets.push_str(&format!(", {name}"));
        values.push_str(&format!(", {}", column.value("i")));
        sets.push(format!("{name} = excluded.{name}"));
    }
    sets.push("_version = t._version + 1".to_owned());
    sets.push("_synced_at = excluded._synced_at".to_owned());
    format!(
        "/* rebuild.upsert */ insert into {} as t ({targets}, _version, _synced_at) overriding system value \
         select {values}, 1, clock_timestamp() from {MENDING} i where i._key = any($1) \
         on conflict ({}) do update set {}",
        layout.relation,
        layout.key,
        sets.join(", ")
    )
}

fn found(row: &sqlx::postgres::PgRow) -> sqlx::Result<Found> {
    let state = |from: usize| -> sqlx::Result<RecordState> {
        let seen = Interval { begun_us: row.try_get(from + 1)?, ended_us: row.try_get(from + 2)? };
        Ok(RecordState { vendor_version: row.try_get(from)?, seen, by_mutation: row.try_get(from + 3)? })
    };
    let image = row.try_get::<bool, _>(1)?;
    let image = image.then(|| Ok::<_, sqlx::Error>((state(2)?, row.try_get(6)?, row.try_get(7)?))).transpose()?;
    let differs: bool = row.try_get(9)?;
    let record = row.try_get::<bool, _>(10)?;
    let record = record.then(|| Ok::<_, sqlx::Error>((state(11)?, row.try_get(15)?))).transpose()?;
    let present: bool = row.try_get(8)?;
    Ok(Found { key: row.try_get(0)?, image, row: present.then_some(differs), record, parked: row.try_get(16)? })
}

fn count(counts: &mut TableReport, row: RowTo, record: RecordTo) {
    match row {
        RowTo::Stay => {}
        RowTo::Insert => counts.inserted += 1,
        RowTo::Change => counts.mended += 1,
        RowTo::Delete => counts.deleted += 1,
    }
    counts.records += u64::from(record != RecordTo::Stay);
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
