//! Writes what is to be mended, inside the caller's transaction.

use std::collections::{BTreeMap, HashSet};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use upwrite_events::TableName;

use super::encode::Layout;
use super::error::{RebuildError, doing};
use super::feed::Feed;
use super::judge::{RecordRepair, RowRepair, Suspect};
use super::shadow::MENDING;
use super::shapes::ColumnSet;
use crate::columns::{deletions, first_version, literal, quoted};

/// A record, and what is to become of it.
pub(super) type Repair = (Suspect, RowRepair, RecordRepair);

/// Writes rows and records of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowWriter<'a> {
    pub(super) table: &'a TableName,
}

impl RowWriter<'_> {
    /// Locks the rows that are to be changed; returns those that others have locked.
    pub(super) async fn lock(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        work: &[Repair],
    ) -> Result<HashSet<String>, RebuildError> {
        let mut locked = HashSet::new();
        for (wanted, strength) in [(RowRepair::Change, "no key update"), (RowRepair::Delete, "update")] {
            let keys: Vec<&str> =
                work.iter().filter(|(_, row, _)| *row == wanted).map(|(suspect, ..)| suspect.key.as_str()).collect();
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
    pub(super) async fn under_savepoint(
        &self,
        tx: &mut PgConnection,
        feed: &Feed,
        work: &[Repair],
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

    async fn write(&self, tx: &mut PgConnection, feed: &Feed, work: &[Repair]) -> sqlx::Result<()> {
        let layout = &feed.layout;
        let keys = |wanted: &[RowRepair]| -> Vec<&Suspect> {
            work.iter().filter(|(_, row, _)| wanted.contains(row)).map(|(suspect, ..)| suspect).collect()
        };
        let mut by_shape: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for suspect in keys(&[RowRepair::Insert, RowRepair::Change]) {
            let shape = suspect.image.as_ref().map_or(0, |(_, _, shape)| *shape);
            by_shape.entry(shape).or_default().push(&suspect.key);
        }
        for (shape, keys) in by_shape {
            let spoken = feed.shapes.all().into_iter().nth(usize::try_from(shape).unwrap_or_default());
            let sql = self.upsert_sql(layout, &spoken.unwrap_or_default());
            sqlx::query(AssertSqlSafe(sql)).bind(keys).execute(&mut *tx).await?;
        }
        let deletes: Vec<&str> = keys(&[RowRepair::Delete]).iter().map(|suspect| suspect.key.as_str()).collect();
        if !deletes.is_empty() {
            let (relation, key, key_type) = (&layout.relation, &layout.key, &layout.key_type);
            let delete = format!("delete from {relation} t where t.{key} = any($1::text[]::{key_type}[])");
            let returning = format!("t.{key} as key, t._version + 1 as version, null::jsonb as image");
            let deletions = deletions(self.table, "$1::text[]", key_type);
            let sql = self.with_outbox(layout, &delete, &returning, Some(deletions));
            sqlx::query(AssertSqlSafe(sql)).bind(deletes).execute(&mut *tx).await?;
        }
        self.write_records(tx, work).await
    }

    fn upsert_sql(&self, layout: &Layout, spoken: &ColumnSet) -> String {
        let (key, key_type) = (&layout.key, &layout.key_type);
        let (mut targets, mut values, mut sets) = (key.clone(), format!("i._key::{key_type}"), Vec::new());
        for column in layout.columns_in(spoken) {
            let name = quoted(&column.name);
            targets.push_str(&format!(", {name}"));
            values.push_str(&format!(", {}", column.value("i")));
            sets.push(format!("{name} = excluded.{name}"));
        }
        sets.push("_version = t._version + 1".to_owned());
        sets.push("_synced_at = excluded._synced_at".to_owned());
        let upsert = format!(
            "insert into {} as t ({targets}, _version, _synced_at) overriding system value \
             select {values}, {}, clock_timestamp() from {MENDING} i where i._key = any($1) \
             on conflict ({key}) do update set {}",
            layout.relation,
            first_version(self.table, "i._key"),
            sets.join(", ")
        );
        let image = layout.outbox.as_deref().unwrap_or("null");
        let returning = format!("t.{key} as key, t._version as version, {image} as image");
        self.with_outbox(layout, &upsert, &returning, None)
    }

    /// The same write, which puts what it returns into the outbox, too, if there is one; and another part.
    fn with_outbox(&self, layout: &Layout, write: &str, returning: &str, part: Option<String>) -> String {
        let part = part.map(|part| format!(", {part}")).unwrap_or_default();
        let written = format!("/* rebuild.write */ with written as ({write} returning {returning}){part}");
        if layout.outbox.is_none() {
            return format!("{written} select");
        }
        let (source, table) = (literal(&self.table.source), literal(&self.table.table));
        format!(
            "{written} insert into upwrite.outbox (source, table_name, key, version, vendor_version, image) \
             select {source}, {table}, x.key, w.version, i._version, w.image \
               from written w join unnest($1::text[]) x (key) on x.key::{} = w.key \
               left join {MENDING} i on i._key = x.key",
            layout.key_type
        )
    }

    async fn write_records(&self, tx: &mut PgConnection, work: &[Repair]) -> sqlx::Result<()> {
        let keys = |wanted: RecordRepair| -> Vec<&str> {
            work.iter().filter(|(_, _, record)| *record == wanted).map(|(suspect, ..)| suspect.key.as_str()).collect()
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
        for (sql, keys) in [(sql, keys(RecordRepair::Write)), (remove.to_owned(), keys(RecordRepair::Remove))] {
            if !keys.is_empty() {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(keys);
                query.bind(&self.table.source).bind(&self.table.table).execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}
