//! Values between Postgres's text form and Ledger's JSON. Decimals travel as strings, so that no float comes near them.

use serde_json::value::RawValue;
use upwrite_connectors::value::{Unfit, decimal, from_json, stamp, to_json};
use upwrite_events::{ColumnSpec, ErrorClass};

/// The JSON of a value.
pub(super) fn encode(column: &ColumnSpec, value: Option<&str>) -> Result<String, Unfit> {
    let Some(text) = value else { return Ok("null".to_owned()) };
    let overflow = || Unfit::new(ErrorClass::OutOfRange, "22003", "numeric field overflow");
    match column.vendor_type.as_str() {
        "integer" => decimal::plain(text, Some(0)).ok_or_else(overflow),
        "decimal" => decimal::plain(text, None).map(|text| to_json(&text)).ok_or_else(overflow),
        "boolean" => match text {
            "t" | "true" => Ok("true".to_owned()),
            "f" | "false" => Ok("false".to_owned()),
            _ => Err(Unfit::syntax(column, text)),
        },
        "timestamp" => stamp::instant_to_rfc3339(text).map(|text| to_json(&text)).ok_or_else(|| {
            Unfit::new(ErrorClass::OutOfRange, "22008", format!("date/time field value out of range: \"{text}\""))
        }),
        _ => Ok(to_json(text)),
    }
}

/// The Postgres text of a value; what does not have the form of its type is passed on for Postgres to refuse.
pub(super) fn decode(column: &ColumnSpec, raw: &RawValue) -> Option<String> {
    let json = raw.get().trim();
    if json == "null" {
        return None;
    }
    let text = if json.starts_with('"') { from_json(json) } else { json.to_owned() };
    let converted = match column.vendor_type.as_str() {
        "integer" => decimal::plain(&text, Some(0)),
        "decimal" => decimal::plain(&text, None),
        "boolean" if text == "true" => Some("t".to_owned()),
        "boolean" if text == "false" => Some("f".to_owned()),
        "timestamp" => stamp::instant_to_postgres(&text),
        _ => None,
    };
    Some(converted.unwrap_or(text))
}

/// Ledger writes decimals with as many digits as it likes, and cuts instants to milliseconds.
pub(super) fn same(column: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
    let normal = |text: &str| match column.vendor_type.as_str() {
        "integer" | "decimal" => decimal::plain(text, None).map(|text| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }),
        "timestamp" => stamp::instant_to_rfc3339(text),
        _ => None,
    };
    match (sent, seen) {
        (Some(sent), Some(seen)) => sent == seen || normal(sent).is_some_and(|sent| Some(sent) == normal(seen)),
        (None, None) => true,
        _ => false,
    }
}
