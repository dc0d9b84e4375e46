//! Postgres text to JSON.

use serde_json::value::RawValue;
use upwrite_events::{ColumnSpec, ErrorClass, PENDING_PREFIX};

use super::array::NotAList;
use super::{Kind, array, decimal, stamp};

/// A value that cannot be said to the vendor; nothing is sent for its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) class: ErrorClass,
    pub(crate) sqlstate: &'static str,
    pub(crate) reason: String,
}

impl Unfit {
    fn new(class: ErrorClass, sqlstate: &'static str, reason: impl Into<String>) -> Self {
        Self { class, sqlstate, reason: reason.into() }
    }
}

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
    RawValue::from_string(json).map_err(|_| invalid(column, value.unwrap_or_default()))
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
        Kind::Id | Kind::Text | Kind::Compound | Kind::Any => Ok(quote(text)),
        // `NaN` and `Infinity` are legal in Postgres; nothing else that it prints is refused here.
        Kind::Integer | Kind::Decimal => decimal::plain(text, None)
            .ok_or_else(|| Unfit::new(ErrorClass::OutOfRange, "22003", "numeric field overflow")),
        Kind::Boolean => match text {
            "t" | "true" => Ok("true".to_owned()),
            "f" | "false" => Ok("false".to_owned()),
            _ => Err(invalid(column, text)),
        },
        Kind::Date => stamp::date(text).map(|text| quote(&text)).ok_or_else(date_time),
        Kind::DateTime => stamp::instant_to_vendor(text).map(|text| quote(&text)).ok_or_else(date_time),
        Kind::Time => stamp::clock_to_vendor(text).map(|text| quote(&text)).ok_or_else(date_time),
        Kind::MultiPicklist => picklist(column, text),
    }
}

fn picklist(column: &ColumnSpec, text: &str) -> Result<String, Unfit> {
    let bad =
        |reason: &str| Unfit::new(ErrorClass::BadValue, "22P02", format!("column \"{}\" takes {reason}", column.name));
    let items = array::read(text).map_err(|problem| match problem {
        NotAList::HasNull => bad("no NULL elements"),
        NotAList::Nested => bad("one-dimensional arrays only"),
        NotAList::Malformed => invalid(column, text),
    })?;
    if items.iter().any(|item| item.contains(';') || item.is_empty()) {
        return Err(bad("no empty elements and none with a semicolon"));
    }
    Ok(if items.is_empty() { "null".to_owned() } else { quote(&items.join(";")) })
}

fn invalid(column: &ColumnSpec, text: &str) -> Unfit {
    let reason = format!("invalid input syntax for type {}: \"{text}\"", column.sql_type);
    Unfit::new(ErrorClass::BadValue, "22P02", reason)
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned())
}
