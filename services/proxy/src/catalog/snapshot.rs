//! The snapshot itself: plain data and the questions that classification asks of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use upwrite_events::{TableName, TableSpec};

/// Things by name, then by schema (both unquoted, as Postgres stores them): unqualified names are looked for in every
/// schema, since the proxy does not know the session's search path.
pub type NameMap<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Whether a change of a relation can change a synced table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is one. The number is its oid.
    Synced(u32),
    /// Triggers, rules, a view, cascading foreign keys, defaults that call volatile functions, a foreign table, …
    May,
    Cannot,
}

/// What a function can do beside returning a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Stable or immutable.
    None,
    /// Volatile, but Postgres's own and not one that runs SQL: `nextval`, `clock_timestamp`, `pg_advisory_lock`. It
    /// cannot write a table.
    Own,
    /// Volatile: anything.
    Any,
}

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
    /// Has triggers, rules or the like that are not Upwrite's: a change may do more than to be captured.
    pub own_code: bool,
}

/// What a name in a statement stands for, as far as can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Surely this synced table (the name was qualified).
    Synced(Arc<SyncedTable>),
    /// May be or reach a synced table.
    May,
    /// Surely not.
    Cannot,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Grows with every snapshot that differs from the one before.
    pub generation: u64,
    pub synced: BTreeMap<u32, Arc<SyncedTable>>,
    pub relations: NameMap<Reach>,
    /// The worst of all forms of that name.
    pub functions: NameMap<Effect>,
}

impl Catalog {
    /// The synced table behind a relation, if the snapshot knows it.
    pub fn by_relation(&self, relation: u32) -> Option<&Arc<SyncedTable>> {
        self.synced.get(&relation)
    }

    /// The synced table of that full name.
    pub fn by_name(&self, name: &TableName) -> Option<&Arc<SyncedTable>> {
        match self.relations.get(&name.table)?.get(&name.source)? {
            Reach::Synced(relation) => self.by_relation(*relation),
            Reach::May | Reach::Cannot => None,
        }
    }

    /// Where a change of the relation of that name can lead. Unknown names may lead anywhere (a new table).
    pub fn target(&self, schema: Option<&str>, name: &str) -> Target {
        let Some(schemas) = self.relations.get(name) else { return Target::May };
        let Some(schema) = schema else {
            // Not qualified: harmless only if it is so wherever the search path leads.
            let harmless = schemas.values().all(|reach| *reach == Reach::Cannot);
            return if harmless { Target::Cannot } else { Target::May };
        };
        match schemas.get(schema) {
            Some(Reach::Cannot) => Target::Cannot,
            Some(Reach::Synced(relation)) => self.by_relation(*relation).cloned().map_or(Target::May, Target::Synced),
            Some(Reach::May) | None => Target::May,
        }
    }

    /// The worst that a call of the function of that name can do. Unknown functions can do anything.
    pub fn effect(&self, schema: Option<&str>, name: &str) -> Effect {
        let Some(schemas) = self.functions.get(name) else { return Effect::Any };
        match schema {
            Some(schema) => schemas.get(schema).copied().unwrap_or(Effect::Any),
            None => schemas.values().copied().max().unwrap_or(Effect::Any),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_unqualified_name_is_harmless_only_if_it_is_so_everywhere() {
        let catalog = testing::catalog();
        assert_eq!(catalog.target(Some("public"), "note"), Target::Cannot);
        assert_eq!(catalog.target(None, "note"), Target::Cannot);
        assert!(matches!(catalog.target(Some("sf"), "contact"), Target::Synced(_)));
        assert_eq!(catalog.target(None, "contact"), Target::May);
        assert_eq!(catalog.target(Some("public"), "contact"), Target::Cannot);
        assert_eq!(catalog.target(None, "unheard_of"), Target::May);
        assert_eq!(catalog.target(Some("sf"), "unheard_of"), Target::May);
    }

    #[test]
    fn the_worst_form_of_a_function_counts() {
        let catalog = testing::catalog();
        assert_eq!(catalog.effect(None, "lower"), Effect::None);
        assert_eq!(catalog.effect(None, "nextval"), Effect::Own);
        assert_eq!(catalog.effect(None, "writes"), Effect::Any);
        assert_eq!(catalog.effect(None, "shadowed"), Effect::Any);
        assert_eq!(catalog.effect(Some("pg_catalog"), "shadowed"), Effect::None);
        assert_eq!(catalog.effect(None, "unheard_of"), Effect::Any);
    }
}
