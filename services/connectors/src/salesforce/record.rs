//! A record as the vendor writes it, and as a row.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use upwrite_events::{Row, TableSpec};

use super::value::{decode, version};

/// Field → JSON text, numbers untouched.
pub(crate) type Record = BTreeMap<String, Box<RawValue>>;

/// A record in Upwrite's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadRow {
    pub(crate) key: String,
    pub(crate) image: Row,
    pub(crate) vendor_version: Option<String>,
}

/// `None`: the record has no id. Fields that the answer leaves out are left out of the row.
pub(crate) fn row(table: &TableSpec, record: &Record) -> Option<ReadRow> {
    let image: Row = table
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), decode(column, record.get(&column.field)?))))
        .collect();
    let key = image.get(&table.key)?.clone()?;
    let stamp = table.version_column.as_ref().and_then(|name| table.column(name));
    let vendor_version = stamp.and_then(|column| version(record.get(&column.field)?));
    Some(ReadRow { key, image, vendor_version })
}
