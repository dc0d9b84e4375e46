//! Its stand-in keeps what the README promises, and the sandbox's faults do to it what they do to any vendor.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use upwrite_ledger::stand_in::Ledger;
use upwrite_sandbox::{AdminClient, Chaos, EffectOp, Fault, FaultMatch, FaultRule, Options, Running, Sandbox, Then};

const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    running: Running<Ledger>,
    http: Client,
}

/// Status, content type and body.
type Reply = (u16, String, Value);

impl World {
    async fn start() -> Self {
        upwrite_connectors::install_crypto_provider();
        let running = Sandbox::start(Options::default(), Ledger::default()).await.unwrap();
        Self { running, http: Client::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/v1/{path}", self.running.base_url)).bearer_auth("ledger-token")
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, body) = reply(self.request(Method::GET, path)).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    fn create(&self, key: &str, body: &str) -> RequestBuilder {
        let request = self.request(Method::POST, "entry").header("Idempotency-Key", key);
        request.header("content-type", "application/json").body(body.to_owned())
    }

    fn rule(&self, op: &str, fault: Fault) {
        let matching =
            FaultMatch { op: Some(op.to_owned()), object: Some("entry".to_owned()), ..FaultMatch::default() };
        self.running.add_fault(FaultRule::once(matching, fault)).unwrap();
    }
}

async fn reply(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let text = response.text().await.unwrap();
    (status, kind, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// The last part of a problem's type.
fn slug(body: &Value) -> &str {
    body["type"].as_str().unwrap().strip_prefix("https://ledger.invalid/problems/").unwrap()
}

#[tokio::test]
async fn a_record_lives() {
    let world = World::start().await;
    let (status, _, made) = reply(world.create("k1", r#"{"amount": 12.50, "memo": "first", "posted": true}"#)).await;
    assert_eq!((status, &made["id"], &made["amount"], &made["revision"]), (201, &json!(6), &json!("12.50"), &json!(1)));
    let path = format!("entry/{}", made["id"]);
    let (status, _, changed) = reply(world.request(Method::PATCH, &path).json(&json!({ "memo": null }))).await;
    assert_eq!((status, &changed["memo"], &changed["amount"]), (200, &Value::Null, &json!("12.50")));
    assert_eq!((&changed["revision"], &changed["created_at"]), (&json!(2), &made["created_at"]));
    assert_eq!(reply(world.request(Method::DELETE, &path)).await.0, 204);
    let (status, _, gone) = reply(world.request(Method::DELETE, &path)).await;
    assert_eq!((status, slug(&gone)), (404, "not-found"));
    let effects = world.running.journal_after(0);
    let ops: Vec<EffectOp> = effects.iter().map(|effect| effect.op).collect();
    assert_eq!(ops, [EffectOp::Create, EffectOp::Update, EffectOp::Delete]);
    assert!(effects.iter().all(|effect| effect.key.as_deref() == Some("k1") && effect.id == "6"));
    assert_eq!(effects[1].changes.keys().collect::<Vec<_>>(), ["memo"]);
    let ops: Vec<String> = world.running.requests_after(0).into_iter().map(|request| request.op).collect();
    assert_eq!(ops, ["create", "update", "delete", "delete"]);
}

#[tokio::test]
async fn a_key_makes_one_record() {
    let world = World::start().await;
    let (_, _, first) = reply(world.create("same", r#"{"amount": 1, "memo": "x"}"#)).await;
    let again = world.create("same", r#"{"memo": "x", "amount": 1}"#).send().await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["idempotency-replayed"]), (201, &"true".parse().unwrap()));
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let (status, _, other) = reply(world.create("same", r#"{"amount": 2}"#)).await;
    assert_eq!((status, slug(&other)), (409, "key-reused"));
    // A refused create leaves its key free.
    assert_eq!(reply(world.create("free", "{}")).await.0, 422);
    assert_eq!(reply(world.create("free", r#"{"amount": 3}"#)).await.0, 201);
    assert_eq!(world.running.journal_after(0).len(), 2);
    let (status, _, none) = reply(world.request(Method::POST, "entry").json(&json!({ "amount": 4 }))).await;
    assert_eq!((status, slug(&none)), (422, "bad-value"));
}

#[tokio::test]
async fn refusals_are_problem_documents() {
    let world = World::start().await;
    let long = format!(r#"{{"amount": 1, "memo": "{}"}}"#, "é".repeat(81));
    for (body, status, wanted, field, limit) in [
        (r#"{"memo": "x"}"#, 422, "missing-field", json!("amount"), Value::Null),
        (r#"{"amount": null}"#, 422, "missing-field", json!("amount"), Value::Null),
        (&*long, 422, "too-long", json!("memo"), json!(80)),
        (r#"{"amount": "much"}"#, 422, "bad-value", json!("amount"), Value::Null),
        (r#"{"amount": 1, "colour": "red"}"#, 422, "bad-value", json!("colour"), Value::Null),
        (r#"[1]"#, 422, "bad-value", Value::Null, Value::Null),
        (r#"{"amount": 1, "account_name": "ACCOUNT 3"}"#, 409, "not-unique", json!("account_name"), Value::Null),
        (r#"{"amount": 1, "revision": 7}"#, 422, "read-only-field", json!("revision"), Value::Null),
    ] {
        let (was, kind, problem) = reply(world.create("k", body)).await;
        assert_eq!((was, slug(&problem), &problem["status"]), (status, wanted, &json!(status)), "{body}");
        assert_eq!((&problem["field"], &problem["limit"]), (&field, &limit), "{body}");
        assert_eq!(kind, "application/problem+json", "{body}");
    }
    let stranger = world.http.get(format!("{}/v1/schema", world.running.base_url)).bearer_auth("wrong");
    let (status, _, problem) = reply(stranger).await;
    assert_eq!((status, slug(&problem)), (401, "unauthorised"));
    assert_eq!(reply(world.request(Method::GET, "invoice")).await.0, 404);
    assert!(world.running.journal_after(0).is_empty());
}

#[tokio::test]
async fn schema_pages_and_reads_by_id() {
    let world = World::start().await;
    let schema = world.get("schema").await;
    let fields = schema["collections"][0]["fields"].as_array().unwrap();
    assert_eq!(schema["collections"][0]["name"], "entry");
    assert_eq!(fields.len(), 7);
    assert_eq!(
        fields[1],
        json!({ "name": "amount", "type": "decimal", "writable": true, "required": true,
        "unique": false })
    );
    assert_eq!(fields[2]["max_length"], 80);
    assert_eq!(fields[4]["unique"], true);
    let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect();
    let page = world.get("entry?limit=2").await;
    let all: Vec<i64> = ids(&page);
    assert_eq!((all, &page["next"]), (vec![1, 2], &json!(2)));
    let page = world.get("entry?after=2&limit=3").await;
    let rest: Vec<i64> = ids(&page);
    assert_eq!((rest, &page["next"]), (vec![3, 4, 5], &Value::Null));
    let some: Vec<i64> = ids(&world.get("entry?ids=4,99,1").await);
    assert_eq!(some, [4, 1]);
    for bad in
        ["entry?ids=one".to_owned(), format!("entry?ids={}", vec!["1"; 51].join(",")), "entry?limit=0".to_owned()]
    {
        assert_eq!(reply(world.request(Method::GET, &bad)).await.0, 422, "{bad}");
    }
}

#[tokio::test]
async fn faults_look_as_ledger_writes_them() {
    let world = World::start().await;
    for (fault, status, wanted, applied) in [
        ("limit_429;retry_after_s=7", 429, "slow-down", 0),
        ("over_quota", 429, "slow-down", 0),
        ("server_error;status=503", 503, "unavailable", 0),
        ("server_error;status=503;applied=true", 503, "internal", 1),
        ("server_error", 500, "internal", 0),
        ("locked", 503, "unavailable", 0),
        ("reject;status=403;code=forbidden", 403, "forbidden", 0),
        ("reject;status=422;code=bad-value;rows=0", 422, "bad-value", 0),
    ] {
        let before = world.running.journal_after(0).len();
        let request = world.create(fault, r#"{"amount": 1}"#).header("X-Sandbox-Fault", fault);
        let response = request.send().await.unwrap();
        if fault.starts_with("limit") {
            assert_eq!(response.headers()["retry-after"], "7");
        }
        assert_eq!(response.status().as_u16(), status, "{fault}");
        assert_eq!(slug(&response.json().await.unwrap()), wanted, "{fault}");
        assert_eq!(world.running.journal_after(0).len() - before, applied, "{fault}");
    }
    let chaos = Chaos { seed: 3, limit_429: 1.0, ..Chaos::default() };
    world.running.set_chaos(Some(chaos));
    assert_eq!(reply(world.create("chance", r#"{"amount": 1}"#)).await.0, 429);
}

#[tokio::test]
async fn a_lost_answer_and_a_late_effect_make_one_record() {
    let world = World::start().await;
    for fault in [Fault::LoseAnswer, Fault::ExecuteLate { delay_ms: None, close_after_ms: 0 }] {
        let (before, key) = (world.running.journal_after(0).len(), format!("{fault:?}"));
        world.rule("create", fault);
        world.create(&key, r#"{"amount": 1}"#).send().await.unwrap_err();
        assert_eq!(reply(world.create(&key, r#"{"amount": 1}"#)).await.0, 201);
        world.running.release(None, Then::Proceed);
        assert!(world.running.wait_until(PATIENCE, |s| s.held().is_empty()).await);
        assert_eq!(world.running.journal_after(0).len(), before + 1, "{key}");
    }
}

#[tokio::test]
async fn admin_calls_and_third_parties() {
    let world = World::start().await;
    let admin = AdminClient::new(world.running.base_url.as_str()).unwrap();
    assert_eq!(admin.records("entry").await.unwrap().len(), 5);
    let fields = json!({ "amount": "9.90" });
    let id = world.running.third_party_create("entry", fields.as_object().unwrap()).unwrap();
    world.running.third_party_update("entry", &id, json!({ "memo": "m" }).as_object().unwrap()).unwrap();
    assert_eq!(admin.record("entry", &id).await.unwrap().unwrap()["memo"], "m");
    world.running.third_party_delete("entry", &id).unwrap();
    assert_eq!(admin.record("entry", &id).await.unwrap(), None);
    let refused = world.running.third_party_update("entry", &id, fields.as_object().unwrap()).unwrap_err();
    assert!(refused.starts_with("not-found"), "{refused}");
    assert!(admin.journal(0).await.unwrap().iter().all(|effect| effect.request.is_none()));
    let unknown = world.http.get(format!("{}/rules", world.running.admin_url)).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 404);
}

#[tokio::test]
async fn a_state_file_keeps_entries_and_keys() {
    let file = std::env::temp_dir().join(format!("upwrite-ledger-{}.json", std::process::id()));
    let _old = std::fs::remove_file(&file);
    let start = async || {
        let mut world = World::start().await;
        let options = Options { state_file: Some(file.clone()), ..Options::default() };
        world.running = Sandbox::start(options, Ledger::default()).await.unwrap();
        world
    };
    let world = start().await;
    let (_, _, first) = reply(world.create("kept", r#"{"amount": 1.00}"#)).await;
    world.running.stop().await.unwrap();
    let world = start().await;
    let (_, _, again) = reply(world.create("kept", r#"{"amount": 1.00}"#)).await;
    assert_eq!((&again, again["id"].as_i64()), (&first, Some(6)));
    assert_eq!(world.running.records("entry", false).len(), 6);
    world.running.stop().await.unwrap();
    std::fs::remove_file(&file).unwrap();
}
