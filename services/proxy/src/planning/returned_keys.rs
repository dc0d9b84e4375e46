//! Which keys a plain statement returned, in its order.

use upwrite_events::{Op, TableName};

use super::fold::{Fold, Touch};

/// The keys of all images, as captured.
#[derive(Debug, Clone, Default)]
pub(super) struct ReturnedKeys {
    /// `None`: the images do not say (several tables, or a record touched twice).
    rows: Option<(TableName, Vec<(u8, KeySource)>)>,
}

#[derive(Debug, Clone)]
enum KeySource {
    /// The same before and after.
    Known(String),
    /// Of the mutation's row of that index.
    Row(usize),
}

impl ReturnedKeys {
    /// `row_of`: for each record the index of its row in the mutation, if it has one.
    pub(super) fn new(folded: &Fold, row_of: &[Option<usize>]) -> Self {
        let Some(first) = folded.records.first() else { return Self::default() };
        let one_table = folded.records.iter().all(|record| record.table.relation == first.table.relation);
        if !one_table || folded.touches.len() != folded.records.len() {
            return Self::default();
        }
        let key = |Touch { op, record }: &Touch| {
            let known = || KeySource::Known(folded.records[*record].key.clone());
            (*op, row_of.get(*record).copied().flatten().map_or_else(known, KeySource::Row))
        };
        Self { rows: Some((first.table.name().clone(), folded.touches.iter().map(key).collect())) }
    }

    /// The keys, if the images pair with the rows that a statement of this kind returned.
    pub(super) fn keys(&self, op: Op, returned: usize, keys: &[String]) -> Option<(TableName, Vec<String>)> {
        let (table, rows) = self.rows.as_ref()?;
        let by_statement = |image: u8| match op {
            // ON CONFLICT DO UPDATE.
            Op::Insert => image == b'i' || image == b'u',
            Op::Update => image == b'u',
            Op::Delete => false,
        };
        if rows.len() != returned || !rows.iter().all(|(image, _)| by_statement(*image)) {
            return None;
        }
        let real = |(_, key): &(u8, KeySource)| match key {
            KeySource::Known(key) => Some(key.clone()),
            KeySource::Row(row) => keys.get(*row).cloned(),
        };
        Some((table.clone(), rows.iter().map(real).collect::<Option<Vec<_>>>()?))
    }
}
