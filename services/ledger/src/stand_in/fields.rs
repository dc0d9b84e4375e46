//! The fields of an entry, and the values that they take. Numbers are read as the text that was sent, never through a
//! float.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::problem::Problem;

/// The only collection.
pub(super) const COLLECTION: &str = "entry";

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) writable: bool,
    pub(super) required: bool,
    /// Whatever the case.
    pub(super) unique: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Decimal,
    /// At most so many characters.
    Text(Option<usize>),
    Boolean,
    Timestamp,
}

const fn field(name: &'static str, kind: Kind, writable: bool, required: bool) -> Field {
    Field { name, kind, writable, required, unique: false }
}

pub(super) const FIELDS: [Field; 7] = [
    field("id", Kind::Integer, false, false),
    field("amount", Kind::Decimal, true, true),
    field("memo", Kind::Text(Some(80)), true, false),
    field("posted", Kind::Boolean, true, false),
    Field { unique: true, ..field("account_name", Kind::Text(None), true, false) },
    field("created_at", Kind::Timestamp, false, false),
    field("revision", Kind::Integer, false, false),
];

/// The answer to `GET /v1/schema`.
pub(super) fn schema() -> Value {
    let fields: Vec<Value> = FIELDS
        .iter()
        .map(|field| {
            let (kind, max) = match field.kind {
                Kind::Integer => ("integer", None),
                Kind::Decimal => ("decimal", None),
                Kind::Text(max) => ("text", max),
                Kind::Boolean => ("boolean", None),
                Kind::Timestamp => ("timestamp", None),
            };
            let mut shown = json!({ "name": field.name, "type": kind, "writable": field.writable,
                "required": field.required, "unique": field.unique });
            if let Some(max) = max {
                shown["max_length"] = json!(max);
            }
            shown
        })
        .collect();
    json!({ "collections": [{ "name": COLLECTION, "fields": fields }] })
}

/// Members of a body as they were sent.
pub(super) type Sent = BTreeMap<String, Box<RawValue>>;

/// Reads a body: one JSON object.
pub(super) fn sent(body: &[u8]) -> Result<Sent, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::bad_value("the body must be one JSON object"))
}

/// The values to be written.
pub(super) fn values(sent: &Sent) -> Result<Map<String, Value>, Problem> {
    let mut values = Map::new();
    for (name, raw) in sent {
        let field = FIELDS.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| Problem::bad_value("there is no such field").on(name))?;
        if !field.writable {
            return Err(Problem::new(422, "read-only-field", "Ledger itself sets this field").on(name));
        }
        values.insert(name.clone(), value(field, raw.get()).map_err(|problem| problem.on(name))?);
    }
    Ok(values)
}

fn value(field: &Field, raw: &str) -> Result<Value, Problem> {
    let parsed: Value = serde_json::from_str(raw).map_err(|_| Problem::bad_value("no JSON"))?;
    match (field.kind, &parsed) {
        (_, Value::Null) if field.required => Err(missing()),
        (_, Value::Null) => Ok(parsed),
        (Kind::Decimal, Value::String(text)) if is_decimal(text) => Ok(parsed),
        // The digits as sent: the parsed number has gone through a float.
        (Kind::Decimal, Value::Number(_)) if is_decimal(raw) => Ok(json!(raw)),
        (Kind::Boolean, Value::Bool(_)) => Ok(parsed),
        (Kind::Text(max), Value::String(text)) => match max.filter(|max| text.chars().count() > *max) {
            Some(max) => Err(Problem::new(422, "too-long", format!("at most {max} characters")).limit(max)),
            None => Ok(parsed),
        },
        _ => Err(Problem::bad_value("not a value of this field's type")),
    }
}

/// A required field without a value.
pub(super) fn missing() -> Problem {
    Problem::new(422, "missing-field", "a value is required")
}

/// `-12.50`; no exponent.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit_however_they_are_sent() {
        for body in [r#"{"amount": 12345678901234567890.10}"#, r#"{"amount": "12345678901234567890.10"}"#] {
            let read = values(&sent(body.as_bytes()).unwrap()).unwrap();
            assert_eq!(read["amount"], "12345678901234567890.10", "{body}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for amount in ["1e3", "\"\"", "\"1.\"", "\".5\"", "\"--1\"", "true", "\"1,5\"", "[]"] {
            let body = format!(r#"{{"amount": {amount}}}"#);
            let refused = values(&sent(body.as_bytes()).unwrap()).unwrap_err();
            assert!(refused.text().starts_with("bad-value"), "{amount}: {refused:?}");
        }
    }
}
