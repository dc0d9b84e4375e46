//! One refusal as the vendor words it, in either of its two forms.

use serde_json::Value;

use crate::limits::MAX_MESSAGE_CHARS;

/// `errorCode` (single-record answers, Composite) and `statusCode` (Collections) alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VendorError {
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    /// API names; often missing.
    pub(crate) fields: Vec<String>,
    /// Id of the record that a duplicate rule found.
    pub(crate) duplicate_of: Option<String>,
}

impl VendorError {
    /// All refusals of a body: an array, or a single object. Empty where the body is something else (HTML, nothing).
    pub(crate) fn all_in(body: &[u8]) -> Vec<Self> {
        serde_json::from_slice(body).map(|value| Self::all_of(&value)).unwrap_or_default()
    }

    pub(crate) fn all_of(value: &Value) -> Vec<Self> {
        match value {
            Value::Array(items) => items.iter().filter_map(Self::of).collect(),
            other => Self::of(other).into_iter().collect(),
        }
    }

    fn of(value: &Value) -> Option<Self> {
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        // Postgres has no text with U+0000 in it; one would keep the whole mutation from being recorded.
        let storable = |text: &str| text.replace('\0', "");
        let code = member("statusCode").or_else(|| member("errorCode")).map(storable);
        let message = member("message").unwrap_or_default();
        if code.is_none() && message.is_empty() {
            return None;
        }
        let fields = value.get("fields").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            code,
            message: message.chars().filter(|c| *c != '\0').take(MAX_MESSAGE_CHARS).collect(),
            fields: fields.filter_map(Value::as_str).map(storable).collect(),
            duplicate_of: value
                .pointer("/duplicateResult/matchResults/0/matchRecords/0/record/Id")
                .and_then(Value::as_str)
                .map(storable),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::VendorError;

    #[test]
    fn both_forms_are_read() {
        let single = br#"[{"errorCode":"A","message":"m","fields":["F"]}]"#;
        let row = br#"[{"statusCode":"A","message":"m","fields":["F"]}]"#;
        assert_eq!(VendorError::all_in(single), VendorError::all_in(row));
        assert_eq!(VendorError::all_in(single)[0].fields, ["F"]);
    }

    #[test]
    fn what_is_no_refusal_is_none() {
        for body in [&b""[..], b"<html>", b"[]", b"{}", b"[1]", b"[{\"message\":\"\"}]", b"null", b"[{\"fields\":3}]"] {
            assert!(VendorError::all_in(body).is_empty());
        }
        assert_eq!(VendorError::all_in(br#"{"message":"x","fields":[1,null]}"#).len(), 1);
    }
}
