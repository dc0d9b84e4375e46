//! JSON to Postgres text.

use serde_json::value::RawValue;
use upwrite_events::ColumnSpec;

use super::kind::scale_of;
use super::{Kind, array, decimal, jsonb, stamp};

/// The Postgres text of a value; `None` is NULL. What does not have the form of its type is passed on as text: then
/// Postgres refuses that one row, and no other.
pub(crate) fn decode(column: &ColumnSpec, raw: &RawValue) -> Option<String> {
    let json = raw.get().trim();
    if json == "null" {
        return None;
    }
    let text = if json.starts_with('"') { string(json) } else { json.to_owned() };
    let converted = match Kind::of_column(column) {
        Kind::Id | Kind::Text | Kind::Any => None,
        Kind::Integer => decimal::plain(&text, Some(0)),
        Kind::Decimal => decimal::plain(&text, scale_of(&column.sql_type)),
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
    json.starts_with('"').then(|| stamp::instant_sortable(&string(json)))?
}

/// The contents of a JSON string, as far as Postgres can hold them: U+0000 and lone surrogates become U+FFFD.
pub(super) fn string(json: &str) -> String {
    let text = serde_json::from_str::<String>(json)
        .or_else(|_| serde_json::from_str(&without_surrogates(json)))
        .unwrap_or_else(|_| json.trim_matches('"').to_owned());
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Replaces each escaped surrogate; only for strings that serde_json refuses.
fn without_surrogates(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let hex = escape.strip_prefix("\\u").and_then(|tail| tail.get(..4));
        let is_surrogate =
            hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()).is_some_and(|unit| (0xd800..=0xdfff).contains(&unit));
        let taken = if hex.is_some() { 6 } else { 2.min(escape.len()) };
        if is_surrogate {
            out.push('\u{fffd}');
        } else {
            out.push_str(escape.get(..taken).unwrap_or(escape));
        }
        rest = escape.get(taken..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn strings_become_what_postgres_can_hold() {
        assert_eq!(string(r#""a\u0000b""#), "a\u{fffd}b");
        assert_eq!(string(r#""a\ud800b \\u \n""#), "a\u{fffd}b \\u \n");
        assert_eq!(string(r#""\ud83d\ude00""#), "\u{1f600}");
    }
}
