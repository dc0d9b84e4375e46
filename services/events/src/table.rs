//! What a synced table looks like: discovered by `setup`, stored in `upwrite.tables`, read by every stage.

use serde::{Deserialize, Serialize};

use crate::TableName;

/// Upwrite's own column: grows with every write of the row by the reconciler; 0 in the image of a client's insert.
pub const VERSION_COLUMN: &str = "_version";
/// Upwrite's own column: when the row was last written by the reconciler.
pub const SYNCED_AT_COLUMN: &str = "_synced_at";
/// The columns that every synced table has beside upstream's.
pub const OWN_COLUMNS: [&str; 2] = [VERSION_COLUMN, SYNCED_AT_COLUMN];

/// Whether a column is Upwrite's, not upstream's.
pub fn is_own_column(name: &str) -> bool {
    OWN_COLUMNS.contains(&name)
}

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
    /// A table whose object has the same name, whose keys upstream assigns, and of which nothing else is known. `key`:
    /// its primary key column, one of `columns`.
    pub fn new(name: TableName, key: impl Into<String>, columns: Vec<ColumnSpec>) -> Self {
        Self {
            object: name.table.clone(),
            name,
            comment: None,
            key: key.into(),
            key_assigned_upstream: true,
            idempotency_column: None,
            version_column: None,
            columns,
        }
    }

    /// The vendor's name of the object.
    #[must_use]
    pub fn with_object(self, object: impl Into<String>) -> Self {
        Self { object: object.into(), ..self }
    }

    /// Clients choose the keys.
    #[must_use]
    pub fn with_client_keys(self) -> Self {
        Self { key_assigned_upstream: false, ..self }
    }

    #[must_use]
    pub fn with_idempotency_column(self, column: impl Into<String>) -> Self {
        Self { idempotency_column: Some(column.into()), ..self }
    }

    #[must_use]
    pub fn with_version_column(self, column: impl Into<String>) -> Self {
        Self { version_column: Some(column.into()), ..self }
    }

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

impl ColumnSpec {
    /// A column that may be written, need not be, and is not unique. The vendor calls it the same.
    pub fn new(name: impl Into<String>, sql_type: impl Into<String>) -> Self {
        let (name, sql_type) = (name.into(), sql_type.into());
        Self {
            field: name.clone(),
            name,
            vendor_type: sql_type.clone(),
            sql_type,
            comment: None,
            insertable: true,
            updatable: true,
            required: false,
            unique: false,
            case_sensitive: true,
            references: None,
        }
    }

    /// The vendor's names of field and type.
    #[must_use]
    pub fn with_vendor_names(self, field: impl Into<String>, vendor_type: impl Into<String>) -> Self {
        Self { field: field.into(), vendor_type: vendor_type.into(), ..self }
    }

    /// Only upstream sets it.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { insertable: false, updatable: false, ..self }
    }

    #[must_use]
    pub fn unique(self) -> Self {
        Self { unique: true, case_sensitive: true, ..self }
    }

    /// Unique, values that differ in case only being the same.
    #[must_use]
    pub fn unique_ignoring_case(self) -> Self {
        Self { unique: true, case_sensitive: false, ..self }
    }

    /// Refers to that synced table of the same source.
    #[must_use]
    pub fn references(self, table: impl Into<String>) -> Self {
        Self { references: Some(table.into()), ..self }
    }
}
