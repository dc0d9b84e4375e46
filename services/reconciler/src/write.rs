//! Writes images into one synced table, inside the batch's transaction.
//!
//! The fast way writes whole sets, and any error fails the transaction. It is then repeated the careful way:
//! under savepoints, first the table as a whole, then row by row, so that one locked or refused row stops nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use upwrite_events::{Row, TableName};

use crate::columns::{ColumnCache, Columns, quoted};
use crate::error::{ReconcilerError, doing};
use crate::finish::WRITE_PARAMETER;
use crate::images::{FIRST_PARAMETER, Records, Write, delete, groups, upsert};
use crate::merge::{Decision, Image, decide};
use crate::records::{LockedRecords, lock_records};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteMode {
    Fast,
    Careful,
}

/// A row that Postgres refused: a constraint of the user's own, a value the column cannot hold.
#[derive(Debug)]
pub(crate) struct Conflict {
    pub(crate) index: usize,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
}

/// What became of the images, by their index in the input.
#[derive(Debug, Default)]
pub(crate) struct WriteReport {
    pub(crate) parked: Vec<usize>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) rereads: Vec<String>,
    /// Whose image is in the table now, and whether the record was known: for [`crate::finish`].
    pub(crate) shown: Vec<(usize, bool)>,
}

/// What is to be written where.
#[derive(Clone, Copy)]
struct Rows<'a> {
    columns: &'a Columns,
    images: &'a [Image],
    /// Records that were written before. Any other record has no row that could be locked.
    known: &'a LockedRecords,
}

/// Merges images of one table, in their order.
pub(crate) async fn write_images(
    tx: &mut PgConnection,
    cache: &mut ColumnCache,
    table: &TableName,
    images: &[Image],
    mode: WriteMode,
) -> Result<WriteReport, ReconcilerError> {
    let mut written = WriteReport::default();
    let Some(columns) = columns_for(tx, cache, table, images).await? else {
        let message = format!("table {table} is not synced");
        let refuse = |index| Conflict { index, sqlstate: "42P01".to_owned(), message: message.clone() };
        written.conflicts = (0..images.len()).map(refuse).collect();
        return Ok(written);
    };
    let (chosen, known) = choose(tx, table, images, &mut written).await?;
    let rows = Rows { columns: &columns, images, known: &known };
    match mode {
        WriteMode::Fast => written.parked = write(tx, rows, &chosen).await.map_err(doing("writing rows"))?,
        WriteMode::Careful => write_carefully(tx, rows, &chosen, &mut written).await?,
    }
    // What came before the latest image of a record is written with it: it waits with it, too.
    let waiting = written.parked.iter().map(|index| images[*index].key.as_str());
    let waiting: HashSet<&str> = waiting.chain(known.busy.iter().map(String::as_str)).collect();
    written.parked = (0..images.len()).filter(|index| waiting.contains(images[*index].key.as_str())).collect();
    let kept_out: HashSet<usize> =
        written.parked.iter().copied().chain(written.conflicts.iter().map(|conflict| conflict.index)).collect();
    let shown = chosen.into_iter().filter(|index| !kept_out.contains(index));
    written.shown = shown.map(|index| (index, known.states.contains_key(&images[index].key))).collect();
    Ok(written)
}

/// The write of images that are all of new records, as part of a statement; `None` if one write cannot do it.
pub(crate) async fn write_at_once(
    connection: &mut PgConnection,
    cache: &mut ColumnCache,
    table: &TableName,
    images: &[Image],
) -> Result<Option<Write>, ReconcilerError> {
    let Some(columns) = columns_for(connection, cache, table, images).await? else { return Ok(None) };
    let mut groups = groups(&columns, images.iter().filter_map(|image| Some((image, image.row.as_ref()?))));
    let write = groups.next().map(|group| upsert(&columns, &group, Records::New, WRITE_PARAMETER));
    Ok(write.filter(|_| groups.len() == 0))
}

/// The table's columns, read again if an image speaks of one that is not known: the table may have been altered since.
async fn columns_for(
    tx: &mut PgConnection,
    cache: &mut ColumnCache,
    table: &TableName,
    images: &[Image],
) -> Result<Option<Columns>, ReconcilerError> {
    let all_known = |columns: &Columns| {
        let mut rows = images.iter().filter_map(|image| image.row.as_ref());
        rows.all(|row| row.keys().all(|name| columns.types.contains_key(name)))
    };
    match cache.of(tx, table).await? {
        Some(columns) if !all_known(&columns) => {
            cache.forget();
            cache.of(tx, table).await
        }
        columns => Ok(columns),
    }
}

/// Of all images, the latest of each record, if it is later than what the table holds, in order of the records' keys: the
/// same in every transaction, so that no two wait for each other; and the records that were written before.
async fn choose(
    tx: &mut PgConnection,
    table: &TableName,
    images: &[Image],
    written: &mut WriteReport,
) -> Result<(Vec<usize>, LockedRecords), ReconcilerError> {
    let keys: BTreeSet<&str> = images.iter().map(|image| image.key.as_str()).collect();
    let known = lock_records(tx, table, &keys.into_iter().collect::<Vec<_>>()).await?;
    let mut states = known.states.clone();
    let mut chosen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, image) in images.iter().enumerate() {
        if known.busy.contains(&image.key) {
            continue;
        }
        let decision = decide(states.get(&image.key), image);
        match decision {
            Decision::Write | Decision::WriteAndReread => {
                states.insert(image.key.clone(), image.state());
                chosen.insert(&image.key, index);
            }
            Decision::Skip | Decision::Reread => {}
        }
        if matches!(decision, Decision::Reread | Decision::WriteAndReread) {
            written.rereads.push(image.key.clone());
        }
    }
    Ok((chosen.into_values().collect(), known))
}

async fn write_carefully(
    tx: &mut PgConnection,
    rows: Rows<'_>,
    chosen: &[usize],
    written: &mut WriteReport,
) -> Result<(), ReconcilerError> {
    match under_savepoint(tx, rows, chosen).await? {
        Ok(parked) => written.parked = parked,
        // The whole table is locked.
        Err(refusal) if refusal.is_lock() && chosen.len() > 1 && table_is_locked(tx, rows.columns).await? => {
            written.parked = chosen.to_vec();
        }
        Err(_) => {
            for index in chosen {
                match under_savepoint(tx, rows, &[*index]).await? {
                    Ok(parked) => written.parked.extend(parked),
                    Err(refusal) if refusal.is_lock() => written.parked.push(*index),
                    Err(Refusal { sqlstate, message }) => {
                        written.conflicts.push(Conflict { index: *index, sqlstate, message });
                    }
                }
            }
        }
    }
    Ok(())
}

/// Whether not even an empty write gets at the table within the lock timeout.
async fn table_is_locked(tx: &mut PgConnection, columns: &Columns) -> Result<bool, ReconcilerError> {
    let mut savepoint = tx.begin().await.map_err(doing("setting a savepoint"))?;
    let sql = format!("/* reconciler.probe_lock */ lock table {} in row exclusive mode", columns.relation);
    let locked = sqlx::query(AssertSqlSafe(sql)).execute(&mut *savepoint).await.is_err();
    savepoint.rollback().await.map_err(doing("rolling back to a savepoint"))?;
    Ok(locked)
}

/// Why Postgres would not have a write.
struct Refusal {
    sqlstate: String,
    message: String,
}

impl Refusal {
    /// A lock of another transaction, which goes away by itself.
    fn is_lock(&self) -> bool {
        matches!(self.sqlstate.as_str(), "55P03" | "40P01" | "40001" | "57014")
    }

    /// Not the row's fault: memory, disk, a shutdown. To be tried again; giving up the image would lose it.
    fn is_servers(&self) -> bool {
        !self.is_lock() && (self.sqlstate.starts_with("53") || self.sqlstate.starts_with("57"))
    }
}

async fn under_savepoint(
    tx: &mut PgConnection,
    rows: Rows<'_>,
    chosen: &[usize],
) -> Result<Result<Vec<usize>, Refusal>, ReconcilerError> {
    let mut savepoint = tx.begin().await.map_err(doing("setting a savepoint"))?;
    match write(&mut savepoint, rows, chosen).await {
        Ok(parked) => {
            savepoint.commit().await.map_err(doing("releasing a savepoint"))?;
            Ok(Ok(parked))
        }
        Err(sqlx::Error::Database(error)) => {
            savepoint.rollback().await.map_err(doing("rolling back to a savepoint"))?;
            let sqlstate = error.code().map_or_else(|| "XX000".to_owned(), |code| code.into_owned());
            let refusal = Refusal { sqlstate, message: error.message().to_owned() };
            if refusal.is_servers() {
                return Err(doing("writing rows")(sqlx::Error::Database(error)));
            }
            Ok(Err(refusal))
        }
        Err(other) => Err(doing("writing rows")(other)),
    }
}

/// Locks what is there, writes what could be locked or is new; returns what others have locked.
async fn write(tx: &mut PgConnection, rows: Rows<'_>, chosen: &[usize]) -> sqlx::Result<Vec<usize>> {
    let Rows { columns, images, .. } = rows;
    let (deletes, writes): (Vec<usize>, Vec<usize>) = chosen.iter().partition(|index| images[**index].row.is_none());
    let mut parked = Vec::new();
    if !writes.is_empty() {
        let free = lock(tx, rows, &writes, "no key update", &mut parked).await?;
        let free = free.iter().filter_map(|index| Some((&images[*index], images[*index].row.as_ref()?)));
        let free: Vec<(&Image, &Row)> = free.collect();
        for group in groups(columns, free) {
            run(tx, "upsert", upsert(columns, &group, Records::Any, FIRST_PARAMETER)).await?;
        }
    }
    if !deletes.is_empty() {
        let free = lock(tx, rows, &deletes, "update", &mut parked).await?;
        run(tx, "delete", delete(columns, free.iter().map(|index| &images[*index]))).await?;
    }
    Ok(parked)
}

/// A write as a statement of its own.
async fn run(tx: &mut PgConnection, name: &str, write: Write) -> sqlx::Result<()> {
    let sql = format!("/* reconciler.{name} */ with {} select", write.ctes);
    let query = sqlx::query(AssertSqlSafe(sql));
    write.arrays.into_iter().fold(query, sqlx::query::Query::bind).execute(tx).await?;
    Ok(())
}

/// Splits `wanted` into those that are free (new, or locked by us now) and, into `parked`, those locked by others.
async fn lock(
    tx: &mut PgConnection,
    rows: Rows<'_>,
    wanted: &[usize],
    strength: &str,
    parked: &mut Vec<usize>,
) -> sqlx::Result<Vec<usize>> {
    let Rows { columns, images, known } = rows;
    let keys: Vec<&str> = wanted.iter().map(|index| images[*index].key.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().filter(|key| known.states.contains_key(*key)).collect();
    if keys.is_empty() {
        return Ok(wanted.to_vec());
    }
    let (relation, key, key_type) = (&columns.relation, quoted(&columns.key), columns.key_type());
    let sql = format!(
        "/* reconciler.lock */ with wanted as materialized (select unnest($1::text[]::{key_type}[]) as wanted_key),
              free as materialized (
             select t.{key} as free_key from wanted join {relation} t on t.{key} = wanted_key
                for {strength} of t skip locked)
         select free_key::text, true from free
         union all
         select t.{key}::text, false from wanted join {relation} t on t.{key} = wanted_key"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(keys).fetch_all(&mut *tx).await?;
    let (mut taken, mut ours) = (HashSet::new(), HashSet::new());
    for row in &rows {
        let key: String = row.try_get(0)?;
        if row.try_get(1)? {
            ours.insert(key)
        } else {
            taken.insert(key)
        };
    }
    taken.retain(|key| !ours.contains(key));
    let (busy, free): (Vec<usize>, Vec<usize>) = wanted.iter().partition(|index| taken.contains(&images[**index].key));
    parked.extend(busy);
    Ok(free)
}
