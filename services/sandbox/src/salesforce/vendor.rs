//! A Salesforce organisation as the sandbox serves it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::api::{Route, Service, objects_of};
use super::error::ApiError;
use super::oauth::Auth;
use super::options::OrgOptions;
use super::org::{Actor, Org};
use super::{id, refusal, seed};
use crate::journal::Journal;
use crate::message::{Request, Response, pairs};
use crate::vendor::{AdminRefusal, Call, Operation, Refusal, ThirdPartyChange, Vendor};

const TOKEN_PATH: &str = "/services/oauth2/token";

/// A Salesforce organisation.
#[derive(Debug)]
pub struct Salesforce {
    options: OrgOptions,
    service: Mutex<Service>,
    auth: Mutex<Auth>,
    journal: Arc<Journal>,
}

impl Default for Salesforce {
    fn default() -> Self {
        Self::new(OrgOptions::default())
    }
}

/// A panic while a lock was held leaves consistent state behind (writes are undone or done), so poison is ignored.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Salesforce {
    /// An organisation with its users and the shipped rules; its records come with `seed` or `load`.
    pub fn new(options: OrgOptions) -> Self {
        let journal = Arc::new(Journal::default());
        let org = Org::new(&options, Arc::clone(&journal), OffsetDateTime::now_utc());
        let auth = Auth::new(&options, &org.id, &org.api_user);
        let service = Service::new(org, options.daily_api_limit);
        Self { options, service: Mutex::new(service), auth: Mutex::new(auth), journal }
    }

    pub(super) fn service(&self) -> MutexGuard<'_, Service> {
        locked(&self.service)
    }

    fn auth(&self) -> MutexGuard<'_, Auth> {
        locked(&self.auth)
    }

    fn grant(&self, request: &Request) -> Response {
        if request.method != "POST" {
            return Response::ok(json!({ "error": "invalid_request", "error_description": "must use HTTP POST" }))
                .status(400);
        }
        let form = pairs(&String::from_utf8_lossy(&request.body));
        let authorization = request.header("authorization");
        match self.auth().grant(&form, authorization, &own_url(request), OffsetDateTime::now_utc()) {
            Ok(body) => Response::ok(body),
            Err(refusal) => Response::ok(refusal.body()).status(refusal.0),
        }
    }

    fn call(&self, call: &Call<'_>) -> Response {
        let mut service = self.service();
        let allow = call.request.header("sforce-duplicate-rule-header").unwrap_or_default();
        let actor = Actor {
            // Taken under the lock, so that stamps never run against the order of effects.
            now: OffsetDateTime::now_utc(),
            user: service.org.api_user.clone(),
            request: Some(call.number),
            allow_duplicates: allow.to_ascii_lowercase().replace(' ', "").contains("allowsave=true"),
            refuse: call.refuse.cloned(),
        };
        service.call(&actor, call.request)
    }
}

impl Vendor for Salesforce {
    fn operation(&self, request: &Request) -> Operation {
        if request.path == TOKEN_PATH {
            return Operation { word: "token", objects: Vec::new() };
        }
        let (route, _) = Route::of(request);
        Operation { word: route.op_of(request), objects: objects_of(&self.service().org, &route, request) }
    }

    fn admit(&self, operation: &Operation, request: &Request) -> Result<(), Response> {
        let open = operation.word == "token" || request.path == "/services/data";
        if open || self.auth().admits(request.header("authorization"), OffsetDateTime::now_utc()) {
            return Ok(());
        }
        Err(ApiError::invalid_session().response())
    }

    fn execute(&self, call: &Call<'_>) -> Response {
        let path = call.request.path.as_str();
        if call.operation.word == "token" {
            self.grant(call.request)
        } else if path.starts_with("/id/") || path == "/services/oauth2/userinfo" {
            Response::ok(self.auth().identity(&own_url(call.request)))
        } else {
            self.call(call)
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        refusal::response(refusal, || self.service().limit_info())
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn seed(&self) -> Result<(), String> {
        seed::fill(&mut self.service().org, &self.options, OffsetDateTime::now_utc()).map_err(|e| e.message)
    }

    fn save(&self) -> Value {
        self.service().org.save()
    }

    fn load(&self, saved: &Value) -> Result<(), String> {
        self.service().org.load(saved);
        Ok(())
    }

    fn records(&self, object: &str, deleted: bool) -> Vec<Map<String, Value>> {
        let service = self.service();
        let Some(object) = service.org.object(object) else {
            return Vec::new();
        };
        let rows = service.org.table(&object).rows();
        let wanted = rows.filter(|(_, row)| deleted || row.get("IsDeleted") != Some(&Value::Bool(true)));
        wanted.filter_map(|(_, row)| service.org.fields(&object, row)).collect()
    }

    fn record(&self, object: &str, id: &str) -> Option<Map<String, Value>> {
        let service = self.service();
        let object = service.org.object(object)?;
        let row = service.org.live(&object, &id::canonical(id)?).ok()?;
        service.org.fields(&object, row)
    }

    fn third_party(&self, object: &str, change: ThirdPartyChange<'_>) -> Result<String, String> {
        self.changed_by_another(object, change)
    }

    fn issue_token(&self) -> String {
        self.auth().issue(OffsetDateTime::now_utc())
    }

    fn expire_tokens(&self) {
        self.auth().expire_all();
    }

    fn admin(&self, method: &str, path: &[&str], body: Value) -> Result<Value, AdminRefusal> {
        self.verb(method, path, body)
    }
}

/// The address that the caller used, so that a proxy in between stays in between.
fn own_url(request: &Request) -> String {
    let scheme = if request.header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{}", request.header("host").unwrap_or("127.0.0.1"))
}
