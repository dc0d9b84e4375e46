//! One record's change, checked column by column: what goes upstream, and what may not.

use upwrite_event_log::VersionCheck;
use upwrite_events::{MAX_VALUE_BYTES, Op, Row, RowChange, SYNCED_AT_COLUMN, TableSpec, VERSION_COLUMN, is_own_column};

use super::error::PlanError;
use super::fold::{Fields, Record};
use super::refuse;
use crate::catalog::{SyncedColumn, SyncedTable};

/// What the record's change asks of upstream; `None`: nothing changed.
pub(super) fn change(record: &Record) -> Result<Option<RowChange>, PlanError> {
    let table = &record.table;
    let (op, changed) = match (&record.old, &record.new) {
        (None, None) => return Ok(None),
        (None, Some(new)) => (Op::Insert, inserted(table, new)?),
        (Some(_), None) => (Op::Delete, Row::new()),
        (Some(old), Some(new)) => {
            let changed = updated(table, old, new)?;
            if changed.is_empty() {
                return Ok(None);
            }
            (Op::Update, changed)
        }
    };
    let version = match &record.old {
        Some(old) => Some(version(table, old)?),
        None => None,
    };
    let old = record.old.as_ref().map(|old| whole(table, old)).unwrap_or_default();
    Ok(Some(RowChange { table: table.name().clone(), op, key: record.key.clone(), version, changed, old }))
}

/// The columns that are not NULL, without a placeholder key.
fn inserted(table: &SyncedTable, new: &Fields) -> Result<Row, PlanError> {
    let mut row = Row::new();
    for (column, value) in stored(table, new) {
        let Some(value) = value else { continue };
        let name = column.name.as_str();
        if name == table.spec.key && table.spec.key_assigned_upstream {
            if !table.spec.is_placeholder(value) {
                return Err(refuse::not_insertable(table.name(), name));
            }
            continue;
        }
        let allowed = match table.spec.column(name) {
            _ if name == VERSION_COLUMN => value == "0",
            _ if name == SYNCED_AT_COLUMN || is_idempotency(table, name) => false,
            Some(spec) => spec.insertable || name == table.spec.key,
            None => return Err(refuse::not_synced(table.name(), name)),
        };
        if !allowed {
            return Err(refuse::not_insertable(table.name(), name));
        }
        if name != VERSION_COLUMN {
            row.insert(name.to_owned(), Some(checked(table, name, value)?));
        }
    }
    Ok(row)
}

/// The columns whose text changed.
fn updated(table: &SyncedTable, old: &Fields, new: &Fields) -> Result<Row, PlanError> {
    let mut row = Row::new();
    for ((column, old), (_, new)) in stored(table, old).zip(stored(table, new)) {
        if old == new {
            continue;
        }
        let name = column.name.as_str();
        let own = is_own_column(name) || name == table.spec.key || is_idempotency(table, name);
        match table.spec.column(name) {
            _ if own => return Err(refuse::not_updatable(table.name(), name)),
            Some(spec) if spec.updatable => {}
            Some(_) => return Err(refuse::not_updatable(table.name(), name)),
            None => return Err(refuse::not_synced(table.name(), name)),
        }
        let value = new.map(|value| checked(table, name, value)).transpose()?;
        row.insert(name.to_owned(), value);
    }
    Ok(row)
}

/// The row as it was, as far as upstream has it.
fn whole(table: &SyncedTable, fields: &Fields) -> Row {
    stored(table, fields)
        .filter(|(column, _)| table.spec.column(&column.name).is_some())
        .map(|(column, value)| (column.name.clone(), value.map(str::to_owned)))
        .collect()
}

/// All columns but the generated ones, which follow from others.
fn stored<'a>(table: &'a SyncedTable, fields: &'a Fields) -> impl Iterator<Item = (&'a SyncedColumn, Option<&'a str>)> {
    table
        .columns
        .iter()
        .zip(fields)
        .filter(|(column, _)| !column.generated)
        .map(|(column, value)| (column, value.as_deref()))
}

fn is_idempotency(table: &SyncedTable, name: &str) -> bool {
    table.spec.idempotency_column.as_deref() == Some(name)
}

fn checked(table: &SyncedTable, name: &str, value: &str) -> Result<String, PlanError> {
    if value.len() > MAX_VALUE_BYTES { Err(refuse::value_too_large(table.name(), name)) } else { Ok(value.to_owned()) }
}

fn version(table: &SyncedTable, old: &Fields) -> Result<i64, PlanError> {
    let version = table.columns.iter().zip(old).find(|(column, _)| column.name == VERSION_COLUMN);
    version
        .and_then(|(_, value)| value.as_deref()?.parse().ok())
        .ok_or_else(|| PlanError::StaleCatalog(format!("{} has no {VERSION_COLUMN}", table.name())))
}

/// What must still hold when the record is claimed. Nothing for a key that was just made: no row can have it, and the check
/// costs as much as the claim.
pub(super) fn version_check(spec: &TableSpec, change: &RowChange) -> Option<VersionCheck> {
    let drawn = change.op == Op::Insert && spec.is_placeholder(&change.key);
    (!drawn).then(|| VersionCheck { table: change.table.clone(), key: change.key.clone(), version: change.version })
}
