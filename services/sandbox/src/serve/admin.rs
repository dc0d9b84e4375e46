//! The admin calls. They cost no budget, take no faults and leave no trace in the request journal.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::fault::{Chaos, FaultRule};
use crate::holding::Then;
use crate::salesforce::org::{DuplicateRule, ValidationRule};
use crate::sandbox::Sandbox;

type Shared = State<Arc<Sandbox>>;
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

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
        .route("/records/{object}/{id}", patch(update_record).delete(delete_record))
        .route("/records/{object}/{id}/undelete", post(undelete_record))
        .route("/token", post(token))
        .route("/expire-tokens", post(expire_tokens))
        .route("/limits", get(limits).post(set_limits))
        .route("/rules", get(rules).post(set_rule))
        .route("/rules/{name}", delete(drop_rule))
        .route("/duplicate-rules", get(duplicate_rules).post(set_duplicate_rule))
        .route("/locks", get(locks).post(set_locks).delete(drop_locks))
        .route("/save", post(save))
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

async fn faults(State(sandbox): Shared) -> Json<Value> {
    Json(json!({ "rules": sandbox.faults().list() }))
}

async fn add_fault(State(sandbox): Shared, Json(rule): Json<FaultRule>) -> Answer {
    sandbox.add_fault(rule).map(|id| Json(json!({ "id": id }))).map_err(refused)
}

async fn clear_faults(State(sandbox): Shared) -> Json<Value> {
    sandbox.faults().clear(None);
    done()
}

async fn clear_fault(State(sandbox): Shared, Path(id): Path<u64>) -> Json<Value> {
    sandbox.faults().clear(Some(id));
    done()
}

async fn chaos(State(sandbox): Shared) -> Json<Value> {
    let faults = sandbox.faults();
    let (chaos, draws) = faults.chaos();
    Json(json!({ "chaos": chaos, "draws": draws }))
}

async fn set_chaos(State(sandbox): Shared, Json(chaos): Json<Chaos>) -> Json<Value> {
    sandbox.set_chaos(Some(chaos));
    done()
}

async fn stop_chaos(State(sandbox): Shared) -> Json<Value> {
    sandbox.set_chaos(None);
    done()
}

/// With `at_least`, waits until that many are held; `reached` tells whether it came to that in time.
async fn held(State(sandbox): Shared, Query(page): Query<Page>) -> Json<Value> {
    let reached = sandbox.wait_until(page.timeout(), |s| s.held().len() >= page.at_least).await;
    Json(json!({ "held": sandbox.held(), "reached": reached }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Release {
    request: Option<u64>,
    then: Then,
}

async fn release(State(sandbox): Shared, body: Option<Json<Release>>) -> Json<Value> {
    let Json(release) = body.unwrap_or_default();
    Json(json!({ "released": sandbox.release(release.request, release.then) }))
}

/// With `at_least`, waits until there are that many effects after `after`.
async fn journal(State(sandbox): Shared, Query(page): Query<Page>) -> Json<Value> {
    let wanted = page.after.saturating_add(page.at_least as u64);
    let last = |s: &Sandbox| s.service().org.effects.last_seq();
    let reached = sandbox.wait_until(page.timeout(), |s| last(s) >= wanted).await;
    let service = sandbox.service();
    let effects = service.org.effects.after(page.after, page.limit);
    Json(json!({ "effects": effects, "last_seq": service.org.effects.last_seq(), "reached": reached }))
}

/// With `at_least`, waits until that many requests after `after` have arrived.
async fn requests(State(sandbox): Shared, Query(page): Query<Page>) -> Json<Value> {
    let wanted = page.after.saturating_add(page.at_least as u64);
    let reached = sandbox.wait_until(page.timeout(), |s| s.request_log().last_seq() >= wanted).await;
    let log = sandbox.request_log();
    Json(json!({ "requests": log.after(page.after, page.limit), "last_seq": log.last_seq(), "reached": reached }))
}

async fn timing(State(sandbox): Shared, Query(page): Query<Page>) -> Json<Value> {
    Json(json!(sandbox.timing_after(page.after)))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    deleted: bool,
}

async fn records(State(sandbox): Shared, Path(object): Path<String>, Query(which): Query<Which>) -> Json<Value> {
    Json(json!({ "records": sandbox.records(&object, which.deleted) }))
}

async fn create_record(
    State(sandbox): Shared,
    Path(object): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> Answer {
    sandbox.third_party_create(&object, &fields).map(|id| Json(json!({ "id": id }))).map_err(refused)
}

async fn update_record(
    State(sandbox): Shared,
    Path((object, id)): Path<(String, String)>,
    Json(fields): Json<Map<String, Value>>,
) -> Answer {
    sandbox.third_party_update(&object, &id, &fields).map(|()| done()).map_err(refused)
}

async fn delete_record(State(sandbox): Shared, Path((object, id)): Path<(String, String)>) -> Answer {
    sandbox.third_party_delete(&object, &id).map(|()| done()).map_err(refused)
}

async fn undelete_record(State(sandbox): Shared, Path((object, id)): Path<(String, String)>) -> Answer {
    sandbox.third_party_undelete(&object, &id).map(|()| done()).map_err(refused)
}

async fn token(State(sandbox): Shared) -> Json<Value> {
    Json(json!({ "access_token": sandbox.issue_token() }))
}

async fn expire_tokens(State(sandbox): Shared) -> Json<Value> {
    sandbox.expire_tokens();
    done()
}

async fn limits(State(sandbox): Shared) -> Json<Value> {
    let service = sandbox.service();
    Json(json!({ "used": service.used, "allowed": service.allowed }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    used: Option<u64>,
    allowed: Option<u64>,
}

async fn set_limits(State(sandbox): Shared, Json(budget): Json<Budget>) -> Json<Value> {
    let mut service = sandbox.service();
    service.used = budget.used.unwrap_or(service.used);
    service.allowed = budget.allowed.unwrap_or(service.allowed);
    done()
}

async fn rules(State(sandbox): Shared) -> Json<Value> {
    Json(json!({ "rules": sandbox.service().org.validation_rules }))
}

async fn set_rule(State(sandbox): Shared, Json(rule): Json<ValidationRule>) -> Json<Value> {
    sandbox.set_validation_rule(rule);
    done()
}

async fn drop_rule(State(sandbox): Shared, Path(name): Path<String>) -> Json<Value> {
    sandbox.service().org.validation_rules.retain(|r| r.name != name);
    done()
}

async fn duplicate_rules(State(sandbox): Shared) -> Json<Value> {
    Json(json!({ "rules": sandbox.service().org.duplicate_rules }))
}

async fn set_duplicate_rule(State(sandbox): Shared, Json(rule): Json<DuplicateRule>) -> Json<Value> {
    sandbox.set_duplicate_rule(rule);
    done()
}

async fn locks(State(sandbox): Shared) -> Json<Value> {
    Json(json!({ "ids": sandbox.service().org.locked }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<String>,
}

async fn set_locks(State(sandbox): Shared, Json(locks): Json<Ids>) -> Json<Value> {
    let ids: Vec<&str> = locks.ids.iter().map(String::as_str).collect();
    sandbox.lock_rows(&ids);
    done()
}

async fn drop_locks(State(sandbox): Shared) -> Json<Value> {
    sandbox.lock_rows(&[]);
    done()
}

async fn save(State(sandbox): Shared) -> Answer {
    sandbox.save().map(|()| done()).map_err(refused)
}
