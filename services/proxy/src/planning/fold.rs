//! Images of one record folded to its one change.

use std::collections::HashMap;
use std::sync::Arc;

use super::captured_row::CapturedRow;
use super::error::PlanError;
use super::{record, refuse};
use crate::catalog::{Catalog, SyncedTable};

/// A record's fields, in the order of [`SyncedTable::columns`].
pub(super) type Fields = Vec<Option<String>>;

/// What became of one record in the statement.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) table: Arc<SyncedTable>,
    pub(super) key: String,
    /// Before the statement; `None`: it was not there.
    pub(super) old: Option<Fields>,
    /// After it; `None`: it is not there any more.
    pub(super) new: Option<Fields>,
}

/// One image, and the record that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Touch {
    /// `i`, `u` or `d`.
    pub(super) op: u8,
    /// Index into the records.
    pub(super) record: usize,
}

#[derive(Debug, Default)]
pub(super) struct Fold {
    /// In the order in which they were touched first.
    pub(super) records: Vec<Record>,
    /// One per image, in order.
    pub(super) touches: Vec<Touch>,
}

/// Folds the images of a statement: insert and update are an insert, insert and delete nothing, delete and insert of the
/// same key an update, …
pub(super) fn fold(images: &[CapturedRow], catalog: &Catalog) -> Result<Fold, PlanError> {
    let mut folded = Fold::default();
    let mut places: HashMap<(u32, String), usize> = HashMap::new();
    for image in images {
        let Some(table) = catalog.by_relation(image.relation) else {
            return Err(PlanError::StaleCatalog(format!("relation {} is not known", image.relation)));
        };
        let old = image.old.as_deref().map(|image| read(image, table)).transpose()?;
        let new = image.new.as_deref().map(|image| read(image, table)).transpose()?;
        let key = key_of(table, old.as_ref(), new.as_ref())?;
        let place = *places.entry((image.relation, key.clone())).or_insert_with(|| {
            // What the record was before its first image.
            let before = old.clone();
            folded.records.push(Record { table: table.clone(), key, old: before.clone(), new: before });
            folded.records.len() - 1
        });
        let record = &mut folded.records[place];
        let follows = match image.op {
            b'i' => record.new.is_none() && old.is_none() && new.is_some(),
            b'u' => record.new.is_some() && old.is_some() && new.is_some(),
            b'd' => record.new.is_some() && old.is_some() && new.is_none(),
            _ => false,
        };
        if !follows {
            return Err(refuse::inconsistent(table.name()));
        }
        record.new = new;
        folded.touches.push(Touch { op: image.op, record: place });
    }
    Ok(folded)
}

fn read(image: &[u8], table: &SyncedTable) -> Result<Fields, PlanError> {
    record::decode(image, table.columns.len())
        .map_err(|malformed| PlanError::StaleCatalog(format!("{}: {malformed}", table.name())))
}

/// The key, which must stay the same.
fn key_of(table: &SyncedTable, old: Option<&Fields>, new: Option<&Fields>) -> Result<String, PlanError> {
    let place = table.columns.iter().position(|column| column.name == table.spec.key);
    let key = |fields: Option<&Fields>| place.and_then(|place| fields?.get(place)?.clone());
    match (key(old), key(new)) {
        (Some(old), Some(new)) if old != new => Err(refuse::not_updatable(table.name(), &table.spec.key)),
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(PlanError::StaleCatalog(format!("{} has no key column", table.name()))),
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
