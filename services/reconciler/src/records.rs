//! What is known of the records that a transaction writes (`upwrite.records`), safe with others that write them, too.
//!
//! Reading, deciding and writing is one step for a record that is known: its row is locked. A record that is not yet
//! known has no row to lock; if another reconciler has added one in the meantime, [`crate::finish`] notices and the whole
//! transaction is repeated. No transaction waits: an image of a locked record is parked, as for a locked row.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row as _};
use upwrite_events::{Interval, TableName};

use crate::error::{ReconcilerError, doing};
use crate::merge::{Image, RecordState};

/// Records as they are, until the end of the transaction.
#[derive(Debug, Default)]
pub(crate) struct LockedRecords {
    pub(crate) states: HashMap<String, RecordState>,
    /// Another reconciler is about to write them.
    pub(crate) busy: HashSet<String>,
}

/// Reads and locks what is known of these records. Joined, not `= any`: the plan is a generic one, made while the table
/// was small, and such a plan compares each row with each key.
pub(crate) async fn lock_records(
    tx: &mut PgConnection,
    table: &TableName,
    keys: &[&str],
) -> Result<LockedRecords, ReconcilerError> {
    let rows = sqlx::query(
        "/* reconciler.lock_records */
         with wanted as materialized (select unnest($3::text[]) as key),
              free as materialized (
             select r.key, r.vendor_version, r.seen_begun_us, r.seen_ended_us, r.by_mutation
               from wanted w join upwrite.records r on r.source = $1 and r.table_name = $2 and r.key = w.key
                for no key update of r skip locked)
         select key, false, vendor_version, seen_begun_us, seen_ended_us, by_mutation from free
         union all
         select r.key, true, null, null, null, null
           from wanted w join upwrite.records r on r.source = $1 and r.table_name = $2 and r.key = w.key",
    )
    .bind(&table.source)
    .bind(&table.table)
    .bind(keys)
    .fetch_all(tx)
    .await
    .map_err(doing("reading what is known of records"))?;
    let mut known = LockedRecords::default();
    let mut take = |row: &sqlx::postgres::PgRow| -> sqlx::Result<()> {
        let key: String = row.try_get(0)?;
        if row.try_get(1)? {
            known.busy.insert(key);
            return Ok(());
        }
        let seen = Interval { begun_us: row.try_get(3)?, ended_us: row.try_get(4)? };
        let state = RecordState { vendor_version: row.try_get(2)?, seen, by_mutation: row.try_get(5)? };
        known.states.insert(key, state);
        Ok(())
    };
    rows.iter().try_for_each(&mut take).map_err(doing("reading what is known of records"))?;
    // All that are there came, and those that are free once more.
    let LockedRecords { states, busy } = &mut known;
    busy.retain(|key| !states.contains_key(key));
    Ok(known)
}

/// What will be known of the records whose images a transaction writes.
#[derive(Debug, Default)]
pub(crate) struct RecordUpdates {
    pub(crate) changed: Vec<RecordUpdate>,
    /// Records that were not known.
    pub(crate) added: Vec<RecordUpdate>,
}

#[derive(Debug, serde::Serialize)]
pub(crate) struct RecordUpdate {
    source: String,
    table_name: String,
    key: String,
    vendor_version: Option<String>,
    seen_begun_us: i64,
    seen_ended_us: i64,
    by_mutation: bool,
    deleted: bool,
}

impl RecordUpdates {
    pub(crate) fn add(&mut self, table: &TableName, image: &Image, was_known: bool) {
        let row = RecordUpdate {
            source: table.source.clone(),
            table_name: table.table.clone(),
            key: image.key.clone(),
            vendor_version: image.vendor_version.clone(),
            seen_begun_us: image.seen.begun_us,
            seen_ended_us: image.seen.ended_us,
            by_mutation: image.mutation.is_some(),
            deleted: image.row.is_none(),
        };
        if was_known { self.changed.push(row) } else { self.added.push(row) }
    }
}
