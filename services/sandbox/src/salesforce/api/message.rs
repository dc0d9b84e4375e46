//! Requests and responses, free of any HTTP library.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::salesforce::error::ApiError;

#[derive(Clone, Debug, Default)]
pub(crate) struct ApiRequest {
    pub(crate) method: String,
    /// Path as sent, still percent-encoded, without the query.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl ApiRequest {
    /// Splits a target into path and decoded query.
    pub(crate) fn new(method: &str, target: &str, headers: BTreeMap<String, String>, body: Vec<u8>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method: method.to_ascii_uppercase(), path: path.to_owned(), query: pairs(query), headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|e| {
            ApiError::json(format!(
                "Unexpected character or end of input at [line:{}, column:{}]",
                e.line(),
                e.column()
            ))
        })
    }

    /// The body as one JSON object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match self.json()? {
            Value::Object(map) => Ok(map),
            _ => Err(ApiError::json("The HTTP entity body is required to be one JSON object")),
        }
    }
}

/// `a=1&b=2`, decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding; what is not valid stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Clone, Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// `None` sends no body at all.
    pub(crate) body: Option<Value>,
}

impl ApiResponse {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    pub(crate) fn refused(error: &ApiError) -> Self {
        Self { status: error.status, headers: Vec::new(), body: Some(error.body()) }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split_and_decoded() {
        let request = ApiRequest::new("get", "/a%2Fb?q=SELECT+Id%20FROM+A&x=%C3%A9&y", BTreeMap::new(), Vec::new());
        assert_eq!(request.path, "/a%2Fb");
        assert_eq!(request.param("q"), Some("SELECT Id FROM A"));
        assert_eq!(request.param("x"), Some("é"));
        assert_eq!(request.param("y"), Some(""));
        assert_eq!(decode("100%"), "100%");
    }
}
