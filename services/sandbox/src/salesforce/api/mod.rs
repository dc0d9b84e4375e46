//! The REST API as a pure function: a request in, a response out, the organisation changed in between. No sockets
//! here, so composite subrequests go through the same door.

mod body;
mod changes;
mod collections;
mod composite;
mod conditional;
mod cursors;
mod query;
mod retrieve;
mod route;
mod single;

use serde_json::{Value, json};

use crate::message::{Request, Response};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Actor, Org};
use crate::salesforce::schema;

use cursors::Cursors;
pub(crate) use route::{Route, objects_of};

/// The organisation with what only the API needs: open cursors and the call budget.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) org: Org,
    cursors: Cursors,
    /// API calls counted so far.
    pub(crate) used: u64,
    /// Calls allowed.
    pub(crate) allowed: u64,
}

impl Service {
    pub(crate) fn new(org: Org, allowed: u64) -> Self {
        Self { org, cursors: Cursors::default(), used: 0, allowed }
    }

    /// Counts the call against the budget and carries it out.
    pub(crate) fn call(&mut self, actor: &Actor, request: &Request) -> Response {
        let mut response = if self.used >= self.allowed {
            ApiError::new(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.").response()
        } else {
            self.used += 1;
            self.dispatch(actor, request)
        };
        response.headers.push(self.limit_info());
        response
    }

    /// `Sforce-Limit-Info`, which every answer carries.
    pub(crate) fn limit_info(&self) -> (&'static str, String) {
        ("sforce-limit-info", format!("api-usage={}/{}", self.used, self.allowed))
    }

    /// Carries a request out without counting it (the subrequests of a composite count as one call).
    fn dispatch(&mut self, actor: &Actor, request: &Request) -> Response {
        let (route, base) = Route::of(request);
        let done = match &route {
            Route::Versions => Ok(versions()),
            Route::Resources => Ok(resources(&base)),
            Route::Limits => Ok(self.limits()),
            Route::Global => Ok(self.global(&base)),
            Route::ObjectInfo(object) => self.object_info(object, &base),
            Route::Describe(object) => self.describe(object, &base),
            Route::Create(object) => self.create(actor, request, object, &base),
            Route::Row(object, id) => self.row(actor, request, object, id, &base),
            Route::ByKey { object, field, value } => self.by_key(actor, request, object, (field, value), &base),
            Route::Query { all } => self.query(request, *all, &base),
            Route::More(locator) => self.more(locator, &base),
            Route::Deleted(object) => self.deleted(request, object, actor.now),
            Route::Updated(object) => self.updated(request, object, actor.now),
            Route::Collection => self.collection(actor, request),
            Route::CollectionUpsert { object, field } => self.collection_upsert(actor, request, object, field),
            Route::Retrieve(object) => self.retrieve(request, object, &base),
            Route::Composite => self.composite(actor, request),
            Route::WrongMethod => Err(ApiError::new(
                405,
                "METHOD_NOT_ALLOWED",
                format!("HTTP Method '{}' not allowed. Allowed are HEAD,GET,POST,PATCH,DELETE", request.method),
            )),
            Route::Unknown => Err(ApiError::not_found()),
        };
        done.unwrap_or_else(|error| error.response())
    }

    fn limits(&self) -> Response {
        let left = self.allowed.saturating_sub(self.used);
        Response::ok(json!({
            "DailyApiRequests": { "Max": self.allowed, "Remaining": left },
            "DataStorageMB": { "Max": 1024, "Remaining": 1000 },
            "FileStorageMB": { "Max": 1024, "Remaining": 1024 },
        }))
    }

    fn global(&self, base: &str) -> Response {
        let list: Vec<Value> = self.org.objects.iter().map(|o| schema::summary(o, base)).collect();
        Response::ok(json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": list }))
    }

    fn object_info(&self, object: &str, base: &str) -> Result<Response, ApiError> {
        let object = self.org.object(object).ok_or_else(ApiError::not_found)?;
        Ok(Response::ok(json!({ "objectDescribe": schema::summary(&object, base), "recentItems": [] })))
    }

    fn describe(&self, object: &str, base: &str) -> Result<Response, ApiError> {
        let object = self.org.object(object).ok_or_else(ApiError::not_found)?;
        let plain: Vec<schema::Object> = self.org.objects.iter().map(|o| (**o).clone()).collect();
        Ok(Response::ok(schema::describe(&object, &plain, base)))
    }
}

/// Versions that requests may name; all behave alike.
pub(crate) const OLDEST_VERSION: u32 = 46;
/// The newest version listed.
pub(crate) const NEWEST_VERSION: u32 = 67;

fn versions() -> Response {
    let list: Vec<Value> = (OLDEST_VERSION..=NEWEST_VERSION)
        .map(|v| {
            json!({ "label": format!("Release {v}"), "url": format!("/services/data/v{v}.0"), "version": format!("{v}.0") })
        })
        .collect();
    Response::ok(Value::Array(list))
}

fn resources(base: &str) -> Response {
    Response::ok(json!({
        "sobjects": format!("{base}/sobjects"),
        "query": format!("{base}/query"),
        "queryAll": format!("{base}/queryAll"),
        "limits": format!("{base}/limits"),
        "composite": format!("{base}/composite"),
    }))
}
