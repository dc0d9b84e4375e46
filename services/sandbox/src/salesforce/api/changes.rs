//! `deleted` and `updated`: which records changed in a span of time.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::Service;
use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::Row;
use crate::salesforce::stamp;

impl Service {
    pub(super) fn deleted(&self, request: &Request, object: &str, now: OffsetDateTime) -> Result<Response, ApiError> {
        let rows = self.stamped_in(request, object)?;
        let gone = rows.iter().filter(|(_, row)| row.get("IsDeleted") == Some(&json!(true)));
        let list: Vec<Value> =
            gone.map(|(id, row)| json!({ "id": id, "deletedDate": row.get("SystemModstamp") })).collect();
        Ok(Response::ok(json!({
            "deletedRecords": list,
            "earliestDateAvailable": stamp::wire(now - Duration::days(15)),
            "latestDateCovered": stamp::wire(now),
        })))
    }

    pub(super) fn updated(&self, request: &Request, object: &str, now: OffsetDateTime) -> Result<Response, ApiError> {
        let rows = self.stamped_in(request, object)?;
        let live = rows.iter().filter(|(_, row)| row.get("IsDeleted") != Some(&json!(true)));
        let ids: Vec<&String> = live.map(|(id, _)| *id).collect();
        Ok(Response::ok(json!({ "ids": ids, "latestDateCovered": stamp::wire(now) })))
    }

    /// Records whose stamp lies in `start..=end`; seconds are ignored, as the vendor does: the span is widened to
    /// whole minutes.
    fn stamped_in(&self, request: &Request, object: &str) -> Result<Vec<(&String, &Row)>, ApiError> {
        let object = self.object_in_path(object)?;
        let at = |name: &str| {
            let bad = || ApiError::data("INVALID_DATE_FORMAT", format!("{name} must be an ISO-8601 date"));
            request.param(name).and_then(stamp::parse).ok_or_else(bad)
        };
        let (start, end) = (at("start")?, at("end")?);
        if start >= end {
            return Err(ApiError::data("INVALID_REPLICATION_DATE", "startDate before endDate"));
        }
        let start = start - Duration::seconds(i64::from(start.second()));
        let (from, to) = (stamp::wire(start), stamp::wire(end));
        let rows = self.org.table(&object).rows().filter(|(_, row)| {
            let stamp = row.get("SystemModstamp").and_then(Value::as_str).unwrap_or_default();
            from.as_str() <= stamp && stamp <= to.as_str()
        });
        Ok(rows.collect())
    }
}
