//! JSON as `jsonb` prints it, so that an unchanged value is the same text on both sides.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::decimal;
use super::text::from_json;

/// Deeper values are passed on as they came.
const MAX_DEPTH: usize = 32;

/// Keys by length, then bytes; `, ` and `: ` as separators; numbers plain.
pub fn canonical(raw: &RawValue) -> String {
    write(raw, 0)
}

fn write(raw: &RawValue, depth: usize) -> String {
    let text = raw.get().trim();
    if depth >= MAX_DEPTH {
        return text.to_owned();
    }
    match text.as_bytes().first() {
        Some(b'{') => write_object(text, depth),
        Some(b'[') => match serde_json::from_str::<Vec<Box<RawValue>>>(text) {
            Ok(items) => {
                let items: Vec<String> = items.iter().map(|item| write(item, depth + 1)).collect();
                format!("[{}]", items.join(", "))
            }
            Err(_) => text.to_owned(),
        },
        Some(b'"') => quote(&from_json(text)),
        Some(b'-' | b'0'..=b'9') => decimal::plain(text, None).unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

fn write_object(text: &str, depth: usize) -> String {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text) else {
        return text.to_owned();
    };
    let mut members: Vec<(String, String)> =
        members.iter().map(|(key, value)| (key.replace('\0', "\u{fffd}"), write(value, depth + 1))).collect();
    members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{}: {value}", quote(key))).collect();
    format!("{{{}}}", members.join(", "))
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_jsonb_prints() {
        let raw = r#"{"street":"1 \"A\"","city":"b","latitude":1.50,"x":null,"l":[1,true,{"b":1,"a":2}]}"#;
        let raw = RawValue::from_string(raw.to_owned()).unwrap();
        assert_eq!(
            canonical(&raw),
            r#"{"l": [1, true, {"a": 2, "b": 1}], "x": null, "city": "b", "street": "1 \"A\"", "latitude": 1.50}"#
        );
    }
}
