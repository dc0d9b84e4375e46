//! What the vendor says when it refuses: a code, a text, the fields at fault, and an HTTP status where the whole
//! request is refused.

use serde_json::{Value, json};

use crate::message::Response;

/// One refusal. The same refusal is written with `errorCode` in single-record answers and with `statusCode` in
/// the rows of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
    pub(crate) duplicate_result: Option<Box<Value>>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), fields: Vec::new(), duplicate_result: None }
    }

    /// A refusal of the data itself: 400.
    pub(crate) fn data(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    pub(crate) fn on(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    pub(crate) fn deleted() -> Self {
        Self::new(404, "ENTITY_IS_DELETED", "entity is deleted")
    }

    pub(crate) fn no_such_row() -> Self {
        Self::new(404, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    }

    pub(crate) fn malformed_id(text: &str) -> Self {
        Self::data("MALFORMED_ID", format!("malformed id {text}"))
    }

    pub(crate) fn json(message: impl Into<String>) -> Self {
        Self::data("JSON_PARSER_ERROR", message)
    }

    pub(crate) fn invalid_session() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// The answer to a refused single-record request.
    pub(crate) fn response(&self) -> Response {
        Response::ok(self.body()).status(self.status)
    }

    /// The body of a refused single-record request.
    pub(crate) fn body(&self) -> Value {
        json!([self.entry("errorCode")])
    }

    /// One entry of a collection row's `errors`.
    pub(crate) fn row_entry(&self) -> Value {
        self.entry("statusCode")
    }

    fn entry(&self, code_key: &str) -> Value {
        let mut entry = json!({ "message": self.message, code_key: self.code, "fields": self.fields });
        if let (Some(result), Some(map)) = (&self.duplicate_result, entry.as_object_mut()) {
            map.insert("duplicateResult".to_owned(), (**result).clone());
        }
        // Refusals that name no field leave the member out in single-record answers.
        if self.fields.is_empty()
            && code_key == "errorCode"
            && let Some(map) = entry.as_object_mut()
        {
            map.remove("fields");
        }
        entry
    }
}
