//! Composite: up to 25 requests in one call, later ones referring to earlier answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Route, Service, body};
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::Actor;

/// The vendor's limits.
const MOST_SUBREQUESTS: usize = 25;
const MOST_QUERIES: usize = 5;

impl Service {
    pub(super) fn composite(&mut self, actor: &Actor, request: &Request) -> Result<Response, ApiError> {
        let body = body::object(request)?;
        let all = body.get("allOrNone").and_then(Value::as_bool).unwrap_or_default();
        let parts = body.get("compositeRequest").and_then(Value::as_array);
        let parts = parts.ok_or_else(|| ApiError::json("the body must have an array \"compositeRequest\""))?;
        check(parts)?;
        if all {
            self.org.open(actor.clone());
        }
        let mut answers: BTreeMap<String, Value> = BTreeMap::new();
        let mut results = Vec::with_capacity(parts.len());
        for part in parts {
            let reference = part["referenceId"].as_str().unwrap_or_default().to_owned();
            let response = match substituted(part, &answers) {
                Ok(part) => self.dispatch(actor, &subrequest(&part)),
                Err(error) => error.response(),
            };
            let failed = response.status >= 400;
            if let Some(body) = &response.body {
                answers.insert(reference.clone(), body.clone());
            }
            results.push(shown(&reference, &response));
            if failed && all {
                break;
            }
        }
        if all {
            let failed = results.last().filter(|r| status(r) >= 400).cloned();
            self.org.close(failed.is_none());
            if let Some(culprit) = failed {
                results = halted(parts, &culprit);
            }
        }
        Ok(Response::ok(json!({ "compositeResponse": results })))
    }
}

/// One part as a request of its own.
pub(super) fn subrequest(part: &Value) -> Request {
    let headers = part["httpHeaders"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(k, v)| Some((k.to_ascii_lowercase(), v.as_str()?.to_owned()))).collect();
    let body = if part["body"].is_null() { Vec::new() } else { part["body"].to_string().into_bytes() };
    let method = part["method"].as_str().unwrap_or("GET");
    Request::new(method, part["url"].as_str().unwrap_or_default(), headers, body)
}

fn check(parts: &[Value]) -> Result<(), ApiError> {
    let bad = |message: String| Err(ApiError::data("INVALID_INPUT", message));
    if parts.is_empty() || parts.len() > MOST_SUBREQUESTS {
        return bad(format!("a composite request has 1 to {MOST_SUBREQUESTS} subrequests"));
    }
    let mut queries = 0;
    let mut seen = Vec::new();
    for part in parts {
        let (route, _) = Route::of(&subrequest(part));
        if route == Route::Composite {
            return bad("a composite request cannot be nested".to_owned());
        }
        queries += usize::from(matches!(
            route,
            Route::Query { .. }
                | Route::More(_)
                | Route::Collection
                | Route::CollectionUpsert { .. }
                | Route::Retrieve(_)
        ));
        let reference = part["referenceId"].as_str().unwrap_or_default();
        let legal = !reference.is_empty() && reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !legal || seen.contains(&reference) {
            return bad(format!("Invalid or duplicate referenceId: {reference}"));
        }
        seen.push(reference);
    }
    if queries > MOST_QUERIES {
        return bad(format!("at most {MOST_QUERIES} queries and collections"));
    }
    Ok(())
}

/// Replaces `@{ref.path}` in the URL and in all strings of the body.
fn substituted(part: &Value, answers: &BTreeMap<String, Value>) -> Result<Value, ApiError> {
    let mut part = part.as_object().cloned().unwrap_or_else(Map::new);
    for member in ["url", "body"] {
        if let Some(value) = part.get_mut(member) {
            replace(value, answers)?;
        }
    }
    Ok(Value::Object(part))
}

fn replace(value: &mut Value, answers: &BTreeMap<String, Value>) -> Result<(), ApiError> {
    match value {
        Value::String(text) => {
            while let Some(start) = text.find("@{") {
                let Some(length) = text[start..].find('}') else {
                    break;
                };
                let found = referred(&text[start + 2..start + length], answers)?;
                text.replace_range(start..=start + length, &found);
            }
            Ok(())
        }
        Value::Array(list) => list.iter_mut().try_for_each(|v| replace(v, answers)),
        Value::Object(map) => map.values_mut().try_for_each(|v| replace(v, answers)),
        _ => Ok(()),
    }
}

/// `a.id`, `q.records[0].Id`
fn referred(reference: &str, answers: &BTreeMap<String, Value>) -> Result<String, ApiError> {
    let bad = || {
        let message = format!("Invalid reference specified. No value for {reference} found.");
        ApiError::data("PROCESSING_HALTED", message)
    };
    let pointer: String =
        reference.replace('[', ".").replace(']', "").split('.').map(|step| format!("/{step}")).collect();
    let (name, rest) = pointer[1..].split_once('/').unwrap_or((&pointer[1..], ""));
    let answer = answers.get(name).ok_or_else(bad)?;
    let found = if rest.is_empty() { Some(answer) } else { answer.pointer(&format!("/{rest}")) };
    match found {
        Some(Value::String(text)) if !text.contains("@{") => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        _ => Err(bad()),
    }
}

fn shown(reference: &str, response: &Response) -> Value {
    let location = response.headers.iter().find(|(name, _)| *name == "location");
    let headers = location.map_or_else(|| json!({}), |(_, value)| json!({ "Location": value }));
    json!({
        "body": response.body,
        "httpHeaders": headers,
        "httpStatusCode": response.status,
        "referenceId": reference,
    })
}

fn status(result: &Value) -> u64 {
    result["httpStatusCode"].as_u64().unwrap_or_default()
}

/// After a failure with `allOrNone` every other part, done or not, shows that it was halted.
fn halted(parts: &[Value], culprit: &Value) -> Vec<Value> {
    parts
        .iter()
        .map(|part| {
            let reference = part["referenceId"].as_str().unwrap_or_default();
            if culprit["referenceId"] == reference {
                return culprit.clone();
            }
            let message = "The transaction was rolled back since another operation in the same transaction failed.";
            shown(reference, &ApiError::data("PROCESSING_HALTED", message).response())
        })
        .collect()
}
