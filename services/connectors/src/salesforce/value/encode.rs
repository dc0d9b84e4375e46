//! Postgres text to JSON.

use serde_json::value::RawValue;
use upwrite_events::{ColumnSpec, ErrorClass, PENDING_PREFIX};

use super::{Kind, stamp};
use crate::value::{NotAList, Unfit, array, decimal, to_json};

/// The JSON of a value.
pub(crate) fn encode(column: &ColumnSpec, value: Option<&str>) -> Result<Box<RawValue>, Unfit> {
    let kind = Kind::of_column(column);
    if kind.is_read_only() {
        let reason = format!("column \"{}\" can only be updated to DEFAULT", column.name);
        return Err(Unfit::new(ErrorClass::ReadOnly, "428C9", reason));
    }
    let json = match value {
        None => "null".to_owned(),
        Some(text) => json_of(kind, column, text)?,
    };
    RawValue::from_string(json).map_err(|_| Unfit::syntax(column, value.unwrap_or_default()))
}

fn json_of(kind: Kind, column: &ColumnSpec, text: &str) -> Result<String, Unfit> {
    let date_time =
        || Unfit::new(ErrorClass::OutOfRange, "22008", format!("date/time field value out of range: \"{text}\""));
    match kind {
        Kind::Id if text.starts_with(PENDING_PREFIX) => Err(Unfit::new(
            ErrorClass::BadValue,
            "22023",
            format!("placeholder key in column \"{}\" stands for no record", column.name),
        )),
        Kind::Id | Kind::Text | Kind::Compound | Kind::Any => Ok(to_json(text)),
        // `NaN` and `Infinity` are legal in Postgres; nothing else that it prints is refused here.
        Kind::Integer | Kind::Decimal => decimal::plain(text, None)
            .ok_or_else(|| Unfit::new(ErrorClass::OutOfRange, "22003", "numeric field overflow")),
        Kind::Boolean => match text {
            "t" | "true" => Ok("true".to_owned()),
            "f" | "false" => Ok("false".to_owned()),
            _ => Err(Unfit::syntax(column, text)),
        },
        Kind::Date => stamp::date(text).map(|text| to_json(&text)).ok_or_else(date_time),
        Kind::DateTime => stamp::instant_to_vendor(text).map(|text| to_json(&text)).ok_or_else(date_time),
        Kind::Time => stamp::clock_to_vendor(text).map(|text| to_json(&text)).ok_or_else(date_time),
        Kind::MultiPicklist => picklist(column, text),
    }
}

fn picklist(column: &ColumnSpec, text: &str) -> Result<String, Unfit> {
    let bad =
        |reason: &str| Unfit::new(ErrorClass::BadValue, "22P02", format!("column \"{}\" takes {reason}", column.name));
    let items = array::read(text).map_err(|problem| match problem {
        NotAList::HasNull => bad("no NULL elements"),
        NotAList::Nested => bad("one-dimensional arrays only"),
        NotAList::Malformed => Unfit::syntax(column, text),
    })?;
    if items.iter().any(|item| item.contains(';') || item.is_empty()) {
        return Err(bad("no empty elements and none with a semicolon"));
    }
    Ok(if items.is_empty() { "null".to_owned() } else { to_json(&items.join(";")) })
}
