//! Rows as JSON records. Values are JSON text already; numbers stay as they were written.

use upwrite_events::{ErrorClass, Op, TableSpec};

use super::super::read::is_id;
use super::super::value::encode;
use crate::CallRow;
use crate::value::Unfit;

/// The members of a record, without `attributes` and `id`: `"LastName":"x","Amount__c":1.50`.
pub(super) fn members(table: &TableSpec, op: Op, row: &CallRow) -> Result<String, (Option<String>, Unfit)> {
    if op != Op::Insert && !is_id(&row.key) {
        let reason = format!("\"{}\" is not a key of a record upstream", row.key);
        return Err((Some(table.key.clone()), Unfit { class: ErrorClass::BadValue, sqlstate: "22023", reason }));
    }
    let mut members = Vec::with_capacity(row.changed.len() + 1);
    if op == Op::Delete {
        return Ok(String::new());
    }
    for (name, value) in &row.changed {
        let filled_by_us = *name == table.key || Some(name) == table.idempotency_column.as_ref();
        if filled_by_us {
            continue;
        }
        let column = table.column(name).ok_or_else(|| {
            let reason = format!("column \"{name}\" of relation \"{}\" does not exist", table.name.table);
            (Some(name.clone()), Unfit { class: ErrorClass::UnknownColumn, sqlstate: "42703", reason })
        })?;
        let json = encode(column, value.as_deref()).map_err(|unfit| (Some(name.clone()), unfit))?;
        members.push(format!("\"{}\":{}", column.field, json.get()));
    }
    if op == Op::Insert
        && let Some(column) = table.idempotency_column.as_ref().and_then(|name| table.column(name))
    {
        members.push(format!("\"{}\":\"{}\"", column.field, row.idempotency_key));
    }
    Ok(members.join(","))
}

/// The body of a Collections create or update.
pub(super) fn collection(table: &TableSpec, op: Op, rows: &[(&CallRow, &str)], atomic: bool) -> String {
    let records: Vec<String> = rows
        .iter()
        .map(|(row, members)| {
            let id = if op == Op::Update { format!(",\"id\":\"{}\"", row.key) } else { String::new() };
            let comma = if members.is_empty() { "" } else { "," };
            format!("{{\"attributes\":{{\"type\":\"{}\"}}{id}{comma}{members}}}", table.object)
        })
        .collect();
    format!("{{\"allOrNone\":{atomic},\"records\":[{}]}}", records.join(","))
}
