//! The per-row results of a write.

use serde_json::Value;

use super::super::read::is_id;
use super::super::refusal::VendorError;

/// What an answer says of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// With the id that the answer names, if it does.
    Done {
        id: Option<String>,
    },
    Refused {
        status: u16,
        errors: Vec<VendorError>,
    },
    /// Nothing that can be read.
    Unaccounted {
        status: u16,
    },
}

/// Results of a Collections call in the order of its rows, as many as there were rows. An answer of more results
/// than rows belongs to some other request: nothing in it counts.
pub(super) fn results(body: &[u8], rows: usize) -> Vec<Written> {
    let mut results: Vec<Written> = match serde_json::from_slice(body) {
        Ok(Value::Array(items)) if items.len() <= rows => items.iter().map(result).collect(),
        _ => Vec::new(),
    };
    results.resize(rows, Written::Unaccounted { status: 200 });
    results
}

/// One result, `{"id":…,"success":true,"errors":[]}`.
pub(super) fn result(item: &Value) -> Written {
    let errors = item.get("errors").map(VendorError::all_of).unwrap_or_default();
    match item.get("success").and_then(Value::as_bool) {
        Some(true) => {
            let id = item.get("id").and_then(Value::as_str).filter(|id| is_id(id));
            Written::Done { id: id.map(str::to_owned) }
        }
        Some(false) if !errors.is_empty() => Written::Refused { status: 200, errors },
        _ => Written::Unaccounted { status: 200 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_the_answer_leaves_out_are_unaccounted() {
        let done = r#"{"id":"003000000000001AAA","success":true,"errors":[]}"#;
        let unaccounted = Written::Unaccounted { status: 200 };
        for (body, expected_first, rows) in [
            (format!("[{done}]"), Written::Done { id: Some("003000000000001AAA".to_owned()) }, 2),
            (format!("[{done},{done},{done}]"), unaccounted.clone(), 2),
            (format!("[{done}"), unaccounted.clone(), 1),
            ("<html>busy</html>".to_owned(), unaccounted.clone(), 1),
            (String::new(), unaccounted.clone(), 1),
            ("[{\"success\":false,\"errors\":[]}]".to_owned(), unaccounted.clone(), 1),
            ("[{\"success\":\"yes\"}]".to_owned(), unaccounted.clone(), 1),
            ("[null]".to_owned(), unaccounted.clone(), 1),
            ("[{\"success\":true,\"id\":7}]".to_owned(), Written::Done { id: None }, 1),
        ] {
            let results = results(body.as_bytes(), rows);
            assert_eq!(results.len(), rows, "{body}");
            assert_eq!(results[0], expected_first, "{body}");
        }
    }
}
