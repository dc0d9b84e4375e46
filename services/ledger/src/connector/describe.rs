//! Collections as tables.

use serde::Deserialize;
use upwrite_connectors::names::distinct;
use upwrite_events::{ColumnSpec, TableName, TableSpec};

/// The answer of `GET /v1/schema`.
#[derive(Debug, Deserialize)]
pub(super) struct Schema {
    pub(super) collections: Vec<Collection>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Collection {
    pub(super) name: String,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    field_type: String,
    #[serde(default)]
    writable: bool,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
}

pub(super) const KEY: &str = "id";
/// Counts the changes of a record.
const VERSION: &str = "revision";

/// `None`: the collection has no key, so it cannot be synced.
pub(super) fn table_spec(source: &str, collection: &Collection) -> Option<TableSpec> {
    let fields: Vec<&str> = collection.fields.iter().map(|field| field.name.as_str()).collect();
    let names = distinct(&fields);
    let columns: Vec<ColumnSpec> =
        collection.fields.iter().filter_map(|field| column_spec(field, names.get(&field.name)?)).collect();
    let column_of = |field: &str| columns.iter().find(|column| column.field == field).map(|column| column.name.clone());
    Some(TableSpec {
        name: TableName::new(source, &collection.name),
        object: collection.name.clone(),
        comment: None,
        key: column_of(KEY)?,
        key_assigned_upstream: true,
        idempotency_column: None,
        version_column: column_of(VERSION),
        columns,
    })
}

fn column_spec(field: &Field, name: &str) -> Option<ColumnSpec> {
    let sql_type = match field.field_type.as_str() {
        "integer" => "bigint",
        "decimal" => "numeric",
        "text" => "text",
        "boolean" => "boolean",
        "timestamp" => "timestamptz",
        _ => return None,
    };
    let writable = field.writable && field.name != KEY;
    Some(ColumnSpec {
        name: name.to_owned(),
        field: field.name.clone(),
        sql_type: sql_type.to_owned(),
        vendor_type: field.field_type.clone(),
        comment: None,
        insertable: writable,
        updatable: writable,
        required: writable && field.required,
        unique: field.unique,
        case_sensitive: false,
        references: None,
    })
}
