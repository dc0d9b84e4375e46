//! The admin calls. They cost no budget, take no faults and leave no trace in the request journal.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::fault::{Chaos, FaultRule};
use crate::holding::Then;
use crate::message::decode;
use crate::sandbox::Sandbox;
use crate::vendor::AdminRefusal;

type SandboxState = State<Arc<Sandbox>>;
type AdminReply = Result<Json<Value>, (StatusCode, Json<Value>)>;

pub(super) fn router() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(clear_fault))
        .route("/chaos", get(chaos).post(set_chaos).delete(stop_chaos))
        .route("/held", get(held))
        .route("/release", post(release))
        .route("/journal", get(journal))
        .route("/requests", get(requests))
        .route("/timing", get(timing))
        .route("/records/{object}", get(records).post(create_record))
        .route("/records/{object}/{id}", get(record).patch(update_record).delete(delete_record))
        .route("/token", post(token))
        .route("/expire-tokens", post(expire_tokens))
        .route("/save", post(save))
        .fallback(vendor_verb)
}

fn refused(text: String) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": text })))
}

fn done() -> Json<Value> {
    Json(json!({ "ok": true }))
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Page {
    after: u64,
    limit: usize,
    at_least: usize,
    timeout_ms: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: 10_000, at_least: 0, timeout_ms: 30_000 }
    }
}

impl Page {
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

async fn faults(State(sandbox): SandboxState) -> Json<Value> {
    Json(json!({ "rules": sandbox.faults().list() }))
}

async fn add_fault(State(sandbox): SandboxState, Json(rule): Json<FaultRule>) -> AdminReply {
    sandbox.add_fault(rule).map(|id| Json(json!({ "id": id }))).map_err(refused)
}

async fn clear_faults(State(sandbox): SandboxState) -> Json<Value> {
    sandbox.faults().clear(None);
    done()
}

async fn clear_fault(State(sandbox): SandboxState, Path(id): Path<u64>) -> Json<Value> {
    sandbox.faults().clear(Some(id));
    done()
}

async fn chaos(State(sandbox): SandboxState) -> Json<Value> {
    let faults = sandbox.faults();
    let (chaos, draws) = faults.chaos();
    Json(json!({ "chaos": chaos, "draws": draws }))
}

async fn set_chaos(State(sandbox): SandboxState, Json(chaos): Json<Chaos>) -> Json<Value> {
    sandbox.set_chaos(Some(chaos));
    done()
}

async fn stop_chaos(State(sandbox): SandboxState) -> Json<Value> {
    sandbox.set_chaos(None);
    done()
}

/// With `at_least`, waits until that many are held; `reached` says whether it came to that in time.
async fn held(State(sandbox): SandboxState, Query(page): Query<Page>) -> Json<Value> {
    let reached = sandbox.wait_until(page.timeout(), |s| s.held().len() >= page.at_least).await;
    Json(json!({ "held": sandbox.held(), "reached": reached }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Release {
    request: Option<u64>,
    then: Then,
}

async fn release(State(sandbox): SandboxState, body: Option<Json<Release>>) -> Json<Value> {
    let Json(release) = body.unwrap_or_default();
    Json(json!({ "released": sandbox.release(release.request, release.then) }))
}

/// With `at_least`, waits until there are that many effects after `after`.
async fn journal(State(sandbox): SandboxState, Query(page): Query<Page>) -> Json<Value> {
    let wanted = page.after.saturating_add(page.at_least as u64);
    let reached = sandbox.wait_until(page.timeout(), |s| s.served().journal().last_seq() >= wanted).await;
    let (effects, last_seq) = sandbox.served().journal().page(page.after, page.limit);
    Json(json!({ "effects": effects, "last_seq": last_seq, "reached": reached }))
}

/// With `at_least`, waits until that many requests after `after` have arrived.
async fn requests(State(sandbox): SandboxState, Query(page): Query<Page>) -> Json<Value> {
    let wanted = page.after.saturating_add(page.at_least as u64);
    let reached = sandbox.wait_until(page.timeout(), |s| s.request_log().last_seq() >= wanted).await;
    let log = sandbox.request_log();
    Json(json!({ "requests": log.after(page.after, page.limit), "last_seq": log.last_seq(), "reached": reached }))
}

async fn timing(State(sandbox): SandboxState, Query(page): Query<Page>) -> Json<Value> {
    Json(json!(sandbox.timing_after(page.after)))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecordFilter {
    deleted: bool,
}

async fn records(
    State(sandbox): SandboxState,
    Path(object): Path<String>,
    Query(filter): Query<RecordFilter>,
) -> Json<Value> {
    Json(json!({ "records": sandbox.records(&object, filter.deleted) }))
}

async fn record(State(sandbox): SandboxState, Path((object, id)): Path<(String, String)>) -> Json<Value> {
    Json(json!({ "record": sandbox.served().record(&object, &id) }))
}

async fn create_record(
    State(sandbox): SandboxState,
    Path(object): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> AdminReply {
    sandbox.third_party_create(&object, &fields).map(|id| Json(json!({ "id": id }))).map_err(refused)
}

async fn update_record(
    State(sandbox): SandboxState,
    Path((object, id)): Path<(String, String)>,
    Json(fields): Json<Map<String, Value>>,
) -> AdminReply {
    sandbox.third_party_update(&object, &id, &fields).map(|()| done()).map_err(refused)
}

async fn delete_record(State(sandbox): SandboxState, Path((object, id)): Path<(String, String)>) -> AdminReply {
    sandbox.third_party_delete(&object, &id).map(|()| done()).map_err(refused)
}

async fn token(State(sandbox): SandboxState) -> Json<Value> {
    Json(json!({ "access_token": sandbox.issue_token() }))
}

async fn expire_tokens(State(sandbox): SandboxState) -> Json<Value> {
    sandbox.expire_tokens();
    done()
}

/// Any other call is the vendor's own.
async fn vendor_verb(State(sandbox): SandboxState, method: Method, uri: Uri, body: Bytes) -> AdminReply {
    let body = match body.as_ref() {
        [] => Value::Null,
        bytes => serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?,
    };
    let path: Vec<String> = uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    sandbox.vendor_verb(method.as_str(), &path, body).map(Json).map_err(|refusal| {
        let status = match &refusal {
            AdminRefusal::Unknown(_) => StatusCode::NOT_FOUND,
            AdminRefusal::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AdminRefusal::Refused(_) => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({ "error": refusal.to_string() })))
    })
}

async fn save(State(sandbox): SandboxState) -> AdminReply {
    sandbox.save().map(|()| done()).map_err(refused)
}
