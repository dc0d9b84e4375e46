//! The snapshot itself: plain data and the questions that classification asks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use upwrite_events::{TableName, TableSpec};

/// A relation by schema and name, as Postgres stores them (unquoted).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationName {
    pub schema: String,
    pub name: String,
}

/// A function by schema and name, whatever its arguments.
pub type FunctionName = RelationName;

/// One column of a synced table as the relation has it (columns of Upwrite's own and generated ones included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedColumn {
    pub name: String,
    /// As `format_type` gives it, with its modifier.
    pub sql_type: String,
    pub generated: bool,
}

/// A synced table: what `setup` stored of it and what the relation looks like now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedTable {
    pub relation: u32,
    pub spec: TableSpec,
    /// The columns that are not dropped, in the order in which `record_out` writes them.
    pub columns: Vec<SyncedColumn>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Grows with every snapshot that differs from the one before.
    pub generation: u64,
    pub synced: BTreeMap<u32, Arc<SyncedTable>>,
    /// Local relations whose change can reach a synced one, or cannot be seen not to: triggers, rules, views, cascading
    /// foreign keys to such a table, defaults and checks that call volatile functions, foreign tables.
    pub leading: BTreeSet<RelationName>,
    /// All other local relations that can be written.
    pub harmless: BTreeSet<RelationName>,
    /// Functions outside `pg_catalog` with at least one form that is volatile, or an aggregate made by a user.
    pub volatile: BTreeSet<FunctionName>,
    /// Functions outside `pg_catalog` of which every form is stable or immutable.
    pub stable: BTreeSet<FunctionName>,
    /// Functions of `pg_catalog`: whether any form of that name is volatile.
    pub builtin: BTreeMap<String, bool>,
}

impl Catalog {
    /// The synced table behind a relation, if the snapshot knows it.
    pub fn by_relation(&self, relation: u32) -> Option<&Arc<SyncedTable>> {
        self.synced.get(&relation)
    }

    /// The synced table of that full name.
    pub fn by_name(&self, name: &TableName) -> Option<&Arc<SyncedTable>> {
        self.synced.values().find(|table| table.spec.name == *name)
    }
}

impl SyncedTable {
    pub fn name(&self) -> &TableName {
        &self.spec.name
    }

    /// The key column as the relation has it.
    pub fn key_column(&self) -> Option<&SyncedColumn> {
        self.columns.iter().find(|column| column.name == self.spec.key)
    }
}
