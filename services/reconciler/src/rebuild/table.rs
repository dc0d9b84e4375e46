//! One table: read, compare, mend.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, types::Json};
use upwrite_events::{TableName, TableSpec};

use super::compare::{SUSPECTS, suspects};
use super::connect::{connect, run};
use super::encode::Layout;
use super::error::{RebuildError, doing};
use super::feed::Feed;
use super::mend::Mending;
use super::report::TableReport;
use super::scope::Scope;
use super::{Rebuild, positions, shadow};
use crate::columns::{ColumnCache, literal};

impl Rebuild {
    /// Makes a synced table's rows, and what `upwrite.records` says of them, what the log says; live. What is right is
    /// not touched.
    ///
    /// # Errors
    /// `NoSuchTable`; `Refused` if the log ends before the reconciler's position; `Database`, `Log` if they fail for
    /// good. What has been mended by then stays mended.
    pub async fn table(&self, table: &TableName) -> Result<TableReport, RebuildError> {
        self.one_table(table, Scope::RowsAndRecords, true).await
    }

    /// `trusted`: the log holds all that ever was in it, as far as it begins at its beginning.
    pub(super) async fn one_table(
        &self,
        table: &TableName,
        scope: Scope,
        trusted: bool,
    ) -> Result<TableReport, RebuildError> {
        let begun = Instant::now();
        let mut connection = connect(&self.options).await?;
        let specs = specs(&mut connection).await?;
        let columns = ColumnCache::new(self.outbox).of(&mut connection, table).await?;
        let columns = columns.ok_or_else(|| RebuildError::NoSuchTable(table.clone()))?;
        let layout = Layout::new(&columns, scope == Scope::RowsAndRecords);
        positions::ensure(&mut connection, self.log.as_ref()).await?;
        let reached = positions::read(&mut connection).await?;
        let starts = positions::starts(self.log.as_ref(), &reached).await?;
        let complete = trusted && positions::are_complete(&starts);
        shadow::create(&mut connection, &layout).await?;
        let mut feed = Feed::new(Arc::clone(&self.log), table.clone(), layout, specs, starts);
        let into = shadow::copy_into(shadow::IMAGES);
        feed.advance(&mut connection, &into, &reached, &self.progress).await?;

        let mut report = TableReport { log_is_complete: complete, ..TableReport::default() };
        let differing = self.compare(&mut connection, &mut feed, table, scope, &mut report).await?;
        if differing > 0 {
            let mending = Mending { table, scope, complete, progress: &self.progress };
            mending.run(&mut connection, &mut feed, differing, &mut report).await?;
        }
        report.events = feed.events;
        report.refused += feed.refused;
        let left = report.inserted + report.mended + report.locked + report.waiting + report.refused;
        report.equal = report.rows.saturating_sub(left);
        report.took = begun.elapsed();
        tracing::info!(%table, ?report, "rebuilt from the log");
        let _ = connection.close().await;
        Ok(report)
    }

    /// Brings the images to the positions of one snapshot and compares them with what that snapshot shows. Returns how
    /// many keys differ.
    async fn compare(
        &self,
        connection: &mut PgConnection,
        feed: &mut Feed,
        table: &TableName,
        scope: Scope,
        report: &mut TableReport,
    ) -> Result<u64, RebuildError> {
        let mut tx = connection
            .begin_with("begin isolation level repeatable read")
            .await
            .map_err(doing("beginning the comparison"))?;
        let snapshot = positions::read(&mut tx).await?;
        feed.advance(&mut tx, &shadow::copy_into(shadow::IMAGES), &snapshot, &self.progress).await?;
        self.progress.send("comparing", Some(table), 0, 0);
        run(&mut tx, "comparing", format!("analyze {} (_key)", shadow::IMAGES)).await?;
        shadow::fold(&mut tx, &feed.layout, &feed.shapes, shadow::IMAGES, "true").await?;
        let rows = scope == Scope::RowsAndRecords;
        let sql = suspects(&feed.layout, &feed.shapes.all(), shadow::IMAGES, table, rows, report.log_is_complete);
        let differing = run(&mut tx, "comparing", sql).await?;
        let count = format!("/* rebuild.count */ select count(*) from {} where not _deleted", shadow::IMAGES);
        report.rows = counted(&mut tx, count).await?;
        if !report.log_is_complete {
            let known = format!("select from {} i where i._key = l.key", shadow::IMAGES);
            let sql = format!(
                "/* rebuild.unknown */ select count(*) from upwrite.records l
                  where l.source = {} and l.table_name = {} and not l.deleted and not exists ({known})",
                literal(&table.source),
                literal(&table.table)
            );
            report.unknown = counted(&mut tx, sql).await?;
        }
        if differing > 0 {
            let sql = format!("create unique index on {SUSPECTS} (key)");
            run(&mut tx, "indexing what differs", sql).await?;
        }
        tx.commit().await.map_err(doing("ending the comparison"))?;
        Ok(differing)
    }
}

async fn counted(connection: &mut PgConnection, sql: String) -> Result<u64, RebuildError> {
    let count: i64 =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.map_err(doing("counting rows"))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) async fn specs(connection: &mut PgConnection) -> Result<HashMap<TableName, TableSpec>, RebuildError> {
    let rows = sqlx::query("/* rebuild.specs */ select spec from upwrite.tables")
        .fetch_all(connection)
        .await
        .map_err(doing("reading the synced tables"))?;
    rows.iter()
        .map(|row| {
            let Json(spec) = row.try_get::<Json<TableSpec>, _>(0).map_err(|source| RebuildError::Corrupt {
                what: "a table's specification in upwrite.tables",
                reason: source.to_string(),
            })?;
            Ok((spec.name.clone(), spec))
        })
        .collect()
}
