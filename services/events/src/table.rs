//! What a synced table looks like: discovered by `setup`, stored in `upwrite.tables`, read by every stage.

use serde::{Deserialize, Serialize};

use crate::TableName;

/// A synced table and the upstream object behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    pub name: TableName,
    /// The vendor's name of the object, e.g. `Contact`.
    pub object: String,
    /// Label or description, becomes the table's comment.
    pub comment: Option<String>,
    /// Primary key column.
    pub key: String,
    /// Whether upstream assigns the key (then inserts get a placeholder).
    pub key_assigned_upstream: bool,
    /// Column that Upwrite fills with the mutation's idempotency key on insert; unique upstream; always synced.
    pub idempotency_column: Option<String>,
    /// Column that holds the vendor's version stamp.
    pub version_column: Option<String>,
    pub columns: Vec<ColumnSpec>,
}

impl TableSpec {
    pub fn column(&self, name: &str) -> Option<&ColumnSpec> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Postgres name, snake_case.
    pub name: String,
    /// The vendor's name of the field, e.g. `FirstName`.
    pub field: String,
    /// Postgres type as SQL text, e.g. `numeric(18,2)`.
    pub sql_type: String,
    /// The vendor's own name of the type, e.g. `datetime`; only its connector reads it.
    pub vendor_type: String,
    pub comment: Option<String>,
    /// May be given on insert.
    pub insertable: bool,
    /// May be changed on update.
    pub updatable: bool,
    /// Upstream refuses an insert without it.
    pub required: bool,
    /// Upstream enforces that no two records share a value. Upwrite declares it unique.
    pub unique: bool,
    /// Whether upstream's uniqueness distinguishes case; only with `unique`.
    pub case_sensitive: bool,
    /// Synced table that the column refers to, if exactly one.
    pub references: Option<String>,
}
