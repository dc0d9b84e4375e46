//! Conditional requests on one record: `If-(Un)Modified-Since` on any, entity tags on accounts only.

use serde_json::Value;
use time::OffsetDateTime;

use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::Row;
use crate::salesforce::schema::Object;
use crate::salesforce::stamp;

/// An early answer (304), a refusal (412, or 400 for a header that is no date), or `None` to go on.
pub(super) fn check(request: &Request, object: &Object, row: &Row) -> Result<Option<Response>, ApiError> {
    let at = modified(row);
    if let Some(since) = date(request, "if-unmodified-since")?
        && at > since
    {
        return Err(failed());
    }
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    if reads
        && let Some(since) = date(request, "if-modified-since")?
        && at <= since
    {
        return Ok(Some(Response::empty(304)));
    }
    if object.name != "Account" {
        return Ok(None);
    }
    let tag = tag(row);
    let names = |header: &str| header.split(',').any(|one| one.trim() == tag || one.trim() == "*");
    if request.header("if-match").is_some_and(|header| !names(header)) {
        return Err(failed());
    }
    match request.header("if-none-match") {
        Some(header) if names(header) && reads => Ok(Some(Response::empty(304))),
        Some(header) if names(header) => Err(failed()),
        _ => Ok(None),
    }
}

/// Adds `Last-Modified`, and `ETag` for accounts.
pub(super) fn stamped(response: Response, object: &Object, row: &Row) -> Response {
    let response = response.header("last-modified", stamp::http_date(modified(row)));
    if object.name == "Account" { response.header("etag", tag(row)) } else { response }
}

fn modified(row: &Row) -> OffsetDateTime {
    let at = |name: &str| row.get(name).and_then(Value::as_str).and_then(stamp::parse);
    at("SystemModstamp").max(at("LastModifiedDate")).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn tag(row: &Row) -> String {
    // A weak tag of the whole content, so that it moves within one second too.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in serde_json::to_string(row).unwrap_or_default().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("\"{hash:016x}\"")
}

fn date(request: &Request, header: &str) -> Result<Option<OffsetDateTime>, ApiError> {
    let Some(text) = request.header(header) else {
        return Ok(None);
    };
    let bad = || ApiError::data("INVALID_DATE_FORMAT", format!("bad date in header {header}"));
    stamp::parse_http_date(text).map(Some).ok_or_else(bad)
}

fn failed() -> ApiError {
    // The vendor's body for 412 is not published; the status is what counts.
    ApiError::new(412, "ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE", "The record was modified since the given time")
}
