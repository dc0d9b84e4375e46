//! Rows as Ledger's records, both ways.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use upwrite_connectors::value::{Unfit, to_json};
use upwrite_connectors::{CallRow, LookupResult};
use upwrite_events::{ErrorClass, Op, Row, TableSpec};

use super::value::{decode, encode};

/// Field → JSON text, numbers untouched.
pub(super) type Record = BTreeMap<String, Box<RawValue>>;

/// A record in Upwrite's terms.
pub(super) struct ReadRow {
    pub(super) key: String,
    pub(super) image: Row,
    pub(super) vendor_version: Option<String>,
}

impl From<ReadRow> for LookupResult {
    fn from(row: ReadRow) -> Self {
        Self::Present { key: row.key, image: row.image, vendor_version: row.vendor_version }
    }
}

/// Keys are positive integers; a placeholder is a negative one.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

/// The JSON of a row that is written; with a mistake the column at fault.
pub(super) fn members(table: &TableSpec, op: Op, row: &CallRow) -> Result<String, (Option<String>, Unfit)> {
    if op != Op::Insert && !is_key(&row.key) {
        let reason = format!("\"{}\" is not a key of a record upstream", row.key);
        return Err((Some(table.key.clone()), Unfit::new(ErrorClass::BadValue, "22023", reason)));
    }
    let mut members = Vec::with_capacity(row.changed.len());
    for (name, value) in row.changed.iter().filter(|(name, _)| **name != table.key) {
        let column = table.column(name).ok_or_else(|| {
            let reason = format!("column \"{name}\" of relation \"{}\" does not exist", table.name.table);
            (Some(name.clone()), Unfit::new(ErrorClass::UnknownColumn, "42703", reason))
        })?;
        let json = encode(column, value.as_deref()).map_err(|unfit| (Some(name.clone()), unfit))?;
        members.push(format!("{}:{json}", to_json(&column.field)));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// `None`: the record has no key.
pub(super) fn row(table: &TableSpec, record: &Record) -> Option<ReadRow> {
    let image: Row = table
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), decode(column, record.get(&column.field)?))))
        .collect();
    let key = image.get(&table.key)?.clone().filter(|key| is_key(key))?;
    // Padded, so that versions sort as text.
    let revision = table.version_column.as_ref().and_then(|name| image.get(name)?.as_ref());
    let vendor_version = revision.map(|revision| format!("{revision:0>20}"));
    Some(ReadRow { key, image, vendor_version })
}
