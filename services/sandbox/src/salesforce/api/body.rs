//! Bodies of requests, or the vendor's refusal of them.

use serde_json::{Map, Value};

use crate::message::Request;
use crate::salesforce::error::ApiError;

pub(super) fn json(request: &Request) -> Result<Value, ApiError> {
    serde_json::from_slice(&request.body).map_err(|e| {
        ApiError::json(format!("Unexpected character or end of input at [line:{}, column:{}]", e.line(), e.column()))
    })
}

/// The body as one JSON object.
pub(super) fn object(request: &Request) -> Result<Map<String, Value>, ApiError> {
    match json(request)? {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::json("The HTTP entity body is required to be one JSON object")),
    }
}
