//! What Postgres says of a synced table's columns: names and types to cast to.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};
use upwrite_events::{OWN_COLUMNS, TableName};

use crate::error::{ReconcilerError, doing};

/// Columns that the reconciler writes: all but generated ones and Upwrite's own.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) table: TableName,
    /// Quoted `schema.table`.
    pub(crate) relation: String,
    /// Key column, unquoted.
    pub(crate) key: String,
    /// Name → type as SQL text.
    pub(crate) types: HashMap<String, String>,
    /// What of each written row goes into `upwrite.outbox`, if anything does.
    pub(crate) outbox: Option<Outbox>,
}

/// A table as its records' topic knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    /// Names of the columns that its specification has, unquoted.
    pub(crate) columns: Vec<String>,
}

impl Columns {
    pub(crate) fn key_type(&self) -> &str {
        self.types.get(&self.key).map_or("text", String::as_str)
    }
}

/// Loaded when first needed, forgotten on every error (the table may have been altered).
#[derive(Debug, Default)]
pub(crate) struct ColumnCache {
    known: HashMap<TableName, Columns>,
    outbox: bool,
}

impl ColumnCache {
    pub(crate) fn new(outbox: bool) -> Self {
        Self { known: HashMap::new(), outbox }
    }

    /// `None`: no such synced table.
    pub(crate) async fn of(
        &mut self,
        connection: &mut PgConnection,
        table: &TableName,
    ) -> Result<Option<Columns>, ReconcilerError> {
        if let Some(columns) = self.known.get(table) {
            return Ok(Some(columns.clone()));
        }
        let loaded = load(connection, table, self.outbox).await.map_err(doing("reading a table's columns"))?;
        let Some(columns) = loaded else { return Ok(None) };
        self.known.insert(table.clone(), columns.clone());
        Ok(Some(columns))
    }

    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

async fn load(connection: &mut PgConnection, table: &TableName, outbox: bool) -> sqlx::Result<Option<Columns>> {
    let rows = sqlx::query(
        "/* reconciler.columns */
         select t.relation::regclass::text as relation, t.spec->>'key' as key, a.attname::text as name,
                format_type(a.atttypid, a.atttypmod) as type,
                t.spec->'columns' @> jsonb_build_array(jsonb_build_object('name', a.attname)) as specified
           from upwrite.tables t
           join pg_attribute a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
          where t.source = $1 and t.table_name = $2 and a.attgenerated = ''
            and a.attname::text <> all($3::text[])
          order by a.attnum",
    )
    .bind(&table.source)
    .bind(&table.table)
    .bind(OWN_COLUMNS.as_slice())
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut columns = Columns {
        table: table.clone(),
        relation: first.try_get("relation")?,
        key: first.try_get("key")?,
        types: HashMap::new(),
        outbox: outbox.then(Outbox::default),
    };
    for row in &rows {
        let name: String = row.try_get("name")?;
        if let Some(outbox) = columns.outbox.as_mut().filter(|_| row.try_get("specified").unwrap_or(false)) {
            outbox.columns.push(name.clone());
        }
        columns.types.insert(name, row.try_get("type")?);
    }
    Ok(Some(columns))
}

/// SQL of the `_version` that a row of this table begins with, given its key as text: behind the deletion of the one before,
/// so that the new row is not taken for an older one.
pub(crate) fn first_version(table: &TableName, key: &str) -> String {
    format!("coalesce((select r.last_version from upwrite.records r where {}), 0) + 1", is_record(table, key))
}

/// SQL, a part of a statement, that keeps for [`first_version`] which rows of this table `written` (`key`, `version`) has
/// deleted. `keys`: SQL of their keys as an array of texts.
pub(crate) fn deletions(table: &TableName, keys: &str, key_type: &str) -> String {
    format!(
        "deletions as (update upwrite.records r set last_version = w.version \
         from written w join unnest({keys}) as k (key) on k.key::{key_type} = w.key where {})",
        is_record(table, "k.key")
    )
}

/// SQL that holds for the row `r` of `upwrite.records` of that key.
fn is_record(table: &TableName, key: &str) -> String {
    let (source, name) = (literal(&table.source), literal(&table.table));
    format!("r.source = {source} and r.table_name = {name} and r.key = {key}")
}

/// A name as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
