//! Which resource a request is for.

use serde_json::Value;

use super::{NEWEST_VERSION, OLDEST_VERSION, body};
use crate::message::{Request, decode};
use crate::salesforce::org::Org;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Versions,
    Resources,
    Limits,
    Global,
    ObjectInfo(String),
    Describe(String),
    Create(String),
    /// Read, update or delete, by the method.
    Row(String, String),
    /// Read, upsert or delete by an external id.
    ByKey {
        object: String,
        field: String,
        value: String,
    },
    Query {
        all: bool,
    },
    More(String),
    Deleted(String),
    Updated(String),
    /// Create, update or delete of up to 200 records, by the method.
    Collection,
    CollectionUpsert {
        object: String,
        field: String,
    },
    Retrieve(String),
    Composite,
    WrongMethod,
    Unknown,
}

impl Route {
    /// The route, and the base path (`/services/data/v62.0`) that links in the answer begin with.
    pub(crate) fn of(request: &Request) -> (Self, String) {
        let parts: Vec<String> = request.path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["services", "data"] => (Self::Versions, String::new()),
            ["services", "data", version, rest @ ..] if known_version(version) => {
                (Self::under(&request.method, rest), format!("/services/data/{version}"))
            }
            _ => (Self::Unknown, String::new()),
        }
    }

    fn under(method: &str, rest: &[&str]) -> Self {
        let own = |text: &&str| (*text).to_owned();
        match (method, rest) {
            ("GET", []) => Self::Resources,
            ("GET", ["limits"]) => Self::Limits,
            ("GET", ["query"]) => Self::Query { all: false },
            ("GET", ["queryAll"]) => Self::Query { all: true },
            ("GET", ["query" | "queryAll", locator]) => Self::More(own(locator)),
            ("GET", ["sobjects"]) => Self::Global,
            ("GET", ["sobjects", object]) => Self::ObjectInfo(own(object)),
            ("POST", ["sobjects", object]) => Self::Create(own(object)),
            ("GET", ["sobjects", object, "describe"]) => Self::Describe(own(object)),
            ("GET", ["sobjects", object, "deleted"]) => Self::Deleted(own(object)),
            ("GET", ["sobjects", object, "updated"]) => Self::Updated(own(object)),
            ("POST", ["sobjects", object, "Id"]) => Self::Create(own(object)),
            ("GET" | "HEAD" | "PATCH" | "DELETE", ["sobjects", object, id]) => Self::Row(own(object), own(id)),
            ("GET" | "HEAD" | "PATCH" | "DELETE", ["sobjects", object, "Id", id]) => Self::Row(own(object), own(id)),
            ("GET" | "HEAD" | "PATCH" | "DELETE", ["sobjects", object, field, value]) => {
                Self::ByKey { object: own(object), field: own(field), value: own(value) }
            }
            ("POST" | "PATCH" | "DELETE", ["composite", "sobjects"]) => Self::Collection,
            ("PATCH", ["composite", "sobjects", object, field]) => {
                Self::CollectionUpsert { object: own(object), field: own(field) }
            }
            ("GET" | "POST", ["composite", "sobjects", object]) => Self::Retrieve(own(object)),
            ("POST", ["composite"]) => Self::Composite,
            (_, ["limits" | "query" | "queryAll" | "sobjects" | "composite", ..]) => Self::WrongMethod,
            _ => Self::Unknown,
        }
    }

    /// The word for what the request asks for, as fault matches and the journal use it.
    pub(crate) fn op(&self, method: &str) -> &'static str {
        match (self, method) {
            (Self::Versions | Self::Resources, _) => "versions",
            (Self::Limits, _) => "limits",
            (Self::Global | Self::ObjectInfo(_) | Self::Describe(_), _) => "describe",
            (Self::Query { .. } | Self::More(_), _) => "query",
            (Self::Deleted(_), _) => "deleted",
            (Self::Updated(_), _) => "updated",
            (Self::Retrieve(_), _) => "retrieve",
            (Self::Create(_), _) | (Self::Collection, "POST") => "create",
            (Self::Row(..) | Self::Collection, "PATCH") => "update",
            (Self::Row(..) | Self::ByKey { .. } | Self::Collection, "DELETE") => "delete",
            (Self::ByKey { .. }, "PATCH") | (Self::CollectionUpsert { .. }, _) => "upsert",
            (Self::Row(..) | Self::ByKey { .. }, _) => "read",
            (Self::Composite, _) => "composite",
            _ => "unknown",
        }
    }

    /// The word for a whole request: a composite that makes exactly one kind of write is that write.
    pub(crate) fn op_of(&self, request: &Request) -> &'static str {
        let op = self.op(&request.method);
        if *self != Self::Composite {
            return op;
        }
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let parts = body["compositeRequest"].as_array().into_iter().flatten();
        let mut writes: Vec<&'static str> = parts
            .map(super::composite::subrequest)
            .map(|part| Self::of(&part).0.op(&part.method))
            .filter(|op| matches!(*op, "create" | "update" | "delete" | "upsert"))
            .collect();
        writes.dedup();
        if let [only] = writes[..] { only } else { op }
    }
}

fn known_version(text: &str) -> bool {
    let number = text.strip_prefix('v').and_then(|v| v.strip_suffix(".0")).and_then(|v| v.parse::<u32>().ok());
    // Newer than listed is accepted: clients pin versions that this list cannot foresee.
    number.is_some_and(|v| (OLDEST_VERSION..=NEWEST_VERSION + 10).contains(&v))
}

/// The objects that a request names: in its path, its body, its ids or its query.
pub(crate) fn objects_of(org: &Org, route: &Route, request: &Request) -> Vec<String> {
    let mut names: Vec<String> = match route {
        Route::ObjectInfo(o)
        | Route::Describe(o)
        | Route::Create(o)
        | Route::Row(o, _)
        | Route::ByKey { object: o, .. }
        | Route::CollectionUpsert { object: o, .. }
        | Route::Retrieve(o)
        | Route::Deleted(o)
        | Route::Updated(o) => vec![o.clone()],
        Route::Query { .. } => {
            let query = request.param("q").and_then(|q| crate::salesforce::soql::parse(q).ok());
            query.into_iter().map(|q| q.from).collect()
        }
        Route::Collection if request.method == "DELETE" => {
            let ids = request.param("ids").unwrap_or_default().split(',');
            ids.filter_map(|id| org.object_of_id(id)).map(|o| o.name.to_owned()).collect()
        }
        Route::Collection => in_records(request),
        Route::Composite => in_subrequests(org, request),
        _ => Vec::new(),
    };
    for name in &mut names {
        if let Some(object) = org.object(name) {
            *name = object.name.to_owned();
        }
    }
    names.sort();
    names.dedup();
    names
}

fn in_records(request: &Request) -> Vec<String> {
    let content = body::json(request).unwrap_or(Value::Null);
    let records = content["records"].as_array().into_iter().flatten();
    records.filter_map(|r| r["attributes"]["type"].as_str().map(str::to_owned)).collect()
}

fn in_subrequests(org: &Org, request: &Request) -> Vec<String> {
    let content = body::json(request).unwrap_or(Value::Null);
    let parts = content["compositeRequest"].as_array().into_iter().flatten();
    parts
        .flat_map(|part| {
            let sub = super::composite::subrequest(part);
            let (route, _) = Route::of(&sub);
            // A composite inside a composite is refused anyway.
            if route == Route::Composite { Vec::new() } else { objects_of(org, &route, &sub) }
        })
        .collect()
}
