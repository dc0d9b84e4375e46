//! What Postgres says of a synced table's columns: names and types to cast to.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};
use upwrite_events::TableName;

use crate::error::{ReconcilerError, doing};

/// Columns that the reconciler writes: all but generated ones and Upwrite's own.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// Quoted `schema.table`.
    pub(crate) relation: String,
    /// Key column, unquoted.
    pub(crate) key: String,
    /// Name → type as SQL text.
    pub(crate) types: HashMap<String, String>,
}

/// Loaded when first needed, forgotten on every error (somebody may have altered the table).
#[derive(Debug, Default)]
pub(crate) struct ColumnCache(HashMap<TableName, Columns>);

impl ColumnCache {
    /// `None`: no such synced table.
    pub(crate) async fn of(
        &mut self,
        connection: &mut PgConnection,
        table: &TableName,
    ) -> Result<Option<Columns>, ReconcilerError> {
        if let Some(columns) = self.0.get(table) {
            return Ok(Some(columns.clone()));
        }
        let Some(columns) = load(connection, table).await.map_err(doing("reading a table's columns"))? else {
            return Ok(None);
        };
        self.0.insert(table.clone(), columns.clone());
        Ok(Some(columns))
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

async fn load(connection: &mut PgConnection, table: &TableName) -> sqlx::Result<Option<Columns>> {
    let rows = sqlx::query(
        "/* reconciler.columns */
         select t.relation::regclass::text as relation, t.spec->>'key' as key, a.attname::text as name,
                format_type(a.atttypid, a.atttypmod) as type
           from upwrite.tables t
           join pg_attribute a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
          where t.source = $1 and t.table_name = $2 and a.attgenerated = ''
            and a.attname not in ('_version', '_synced_at')",
    )
    .bind(&table.source)
    .bind(&table.table)
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut columns =
        Columns { relation: first.try_get("relation")?, key: first.try_get("key")?, types: HashMap::new() };
    for row in &rows {
        columns.types.insert(row.try_get("name")?, row.try_get("type")?);
    }
    Ok(Some(columns))
}

/// A name as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
