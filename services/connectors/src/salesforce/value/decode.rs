//! JSON to Postgres text.

use serde_json::value::RawValue;
use upwrite_events::ColumnSpec;

use super::{Kind, stamp};
use crate::value::{array, decimal, from_json, jsonb};

/// The Postgres text of a value; `None` is NULL. What does not have the form of its type is passed on as text: then
/// Postgres refuses that one row, and no other.
pub(crate) fn decode(column: &ColumnSpec, raw: &RawValue) -> Option<String> {
    let json = raw.get().trim();
    if json == "null" {
        return None;
    }
    let text = if json.starts_with('"') { from_json(json) } else { json.to_owned() };
    let converted = match Kind::of_column(column) {
        Kind::Id | Kind::Text | Kind::Any => None,
        Kind::Integer => decimal::plain(&text, Some(0)),
        Kind::Decimal => decimal::plain(&text, decimal::scale_of(&column.sql_type)),
        Kind::Boolean => match text.as_str() {
            "true" => Some("t".to_owned()),
            "false" => Some("f".to_owned()),
            _ => None,
        },
        Kind::Date => stamp::date(&text),
        Kind::DateTime => stamp::instant_to_postgres(&text),
        Kind::Time => stamp::clock_to_postgres(&text),
        Kind::MultiPicklist if text.is_empty() => return None,
        Kind::MultiPicklist => Some(array::write(text.split(';'))),
        Kind::Compound => return Some(jsonb::canonical(raw)),
    };
    Some(converted.unwrap_or(text))
}

/// The vendor's stamp in the form that sorts as text.
pub(crate) fn version(raw: &RawValue) -> Option<String> {
    let json = raw.get().trim();
    json.starts_with('"').then(|| stamp::instant_sortable(&from_json(json)))?
}
