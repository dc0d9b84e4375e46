//! The records of one object, with indexes on what writes must look up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::salesforce::schema::{Kind, Object};

/// Values by canonical field name; an absent field is null.
pub(crate) type Row = BTreeMap<&'static str, Value>;

#[derive(Debug)]
pub(crate) struct Table {
    /// Live and soft-deleted records by id.
    rows: BTreeMap<String, Row>,
    /// Folded value -> ids of live records, for each indexed field.
    indexes: BTreeMap<&'static str, Index>,
    numbers: u64,
}

#[derive(Debug, Default)]
struct Index {
    case_sensitive: bool,
    ids: HashMap<String, BTreeSet<String>>,
}

impl Index {
    fn folded(&self, value: &str) -> String {
        if self.case_sensitive { value.to_owned() } else { value.to_lowercase() }
    }
}

impl Table {
    pub(crate) fn new(object: &Object) -> Self {
        let indexed = |f: &&crate::salesforce::schema::Field| {
            f.external_id || f.kind == Kind::Email || f.name == "AccountId" || f.name == "ParentId"
        };
        let indexes = object
            .fields
            .iter()
            .filter(indexed)
            .map(|f| {
                let case_sensitive = f.external_id || f.kind == Kind::Reference;
                (f.name, Index { case_sensitive, ids: HashMap::new() })
            })
            .collect();
        Self { rows: BTreeMap::new(), indexes, numbers: 0 }
    }

    /// The next record number; numbers that a rolled-back create took are not given again, as with the vendor.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn numbers(&self) -> u64 {
        self.numbers
    }

    pub(crate) fn set_numbers(&mut self, numbers: u64) {
        self.numbers = numbers;
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter()
    }

    /// Ids of live records with this value in an indexed field; `None` if the field has no index.
    pub(crate) fn ids_with(&self, field: &str, value: &str) -> Option<Vec<String>> {
        let index = self.indexes.get(field)?;
        let ids = index.ids.get(&index.folded(value));
        Some(ids.map(|ids| ids.iter().cloned().collect()).unwrap_or_default())
    }

    /// Whether a live record other than `except` has this value in an indexed field.
    pub(crate) fn other_with(&self, field: &str, value: &str, except: &str) -> Option<String> {
        self.ids_with(field, value)?.into_iter().find(|id| id != except)
    }

    /// Inserts or replaces a record; returns what was there.
    pub(crate) fn put(&mut self, id: &str, row: Row) -> Option<Row> {
        let before = self.rows.remove(id);
        if let Some(before) = &before {
            self.unindex(id, before);
        }
        self.index(id, &row);
        self.rows.insert(id.to_owned(), row);
        before
    }

    /// Takes a record out altogether (undo of a create).
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(row) = self.rows.remove(id) {
            self.unindex(id, &row);
        }
    }

    fn index(&mut self, id: &str, row: &Row) {
        if is_deleted(row) {
            return;
        }
        for (field, index) in &mut self.indexes {
            if let Some(Value::String(value)) = row.get(field) {
                let folded = index.folded(value);
                index.ids.entry(folded).or_default().insert(id.to_owned());
            }
        }
    }

    fn unindex(&mut self, id: &str, row: &Row) {
        for (field, index) in &mut self.indexes {
            if let Some(Value::String(value)) = row.get(field) {
                let folded = index.folded(value);
                if let Some(ids) = index.ids.get_mut(&folded) {
                    ids.remove(id);
                    if ids.is_empty() {
                        index.ids.remove(&folded);
                    }
                }
            }
        }
    }
}

/// Whether a record is in the recycle bin.
pub(crate) fn is_deleted(row: &Row) -> bool {
    row.get("IsDeleted") == Some(&Value::Bool(true))
}

/// A text member of a row.
pub(crate) fn text<'r>(row: &'r Row, field: &str) -> Option<&'r str> {
    row.get(field).and_then(Value::as_str)
}
