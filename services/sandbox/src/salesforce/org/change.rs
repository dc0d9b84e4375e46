//! Which fields a write changed, for the journal.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Row;
use crate::journal::{Change, EffectOp};
use crate::salesforce::schema::Object;

/// Stamps move with every write, so they say nothing.
const STAMPS: [&str; 5] = ["CreatedDate", "LastModifiedDate", "SystemModstamp", "CreatedById", "LastModifiedById"];

/// Changed fields with before and after; a delete lists none but `IsDeleted`.
pub(super) fn between(object: &Object, before: Option<&Row>, after: &Row, op: EffectOp) -> BTreeMap<String, Change> {
    let mut changes = BTreeMap::new();
    for field in object.fields.iter().filter(|f| !STAMPS.contains(&f.name)) {
        let old = before.and_then(|row| row.get(field.name)).cloned().unwrap_or(Value::Null);
        let new = after.get(field.name).cloned().unwrap_or(Value::Null);
        let shown = op != EffectOp::Create || !matches!(field.name, "Id" | "IsDeleted");
        if old != new && shown {
            changes.insert(field.name.to_owned(), Change { before: old, after: new });
        }
    }
    changes
}
