//! Admin calls over HTTP, as other processes make them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Org, answer, code};

async fn admin(org: &Org, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = org.http.request(method, format!("{}{path}", org.running.admin_url));
    answer(if body.is_null() { request } else { request.json(&body) }).await
}

#[tokio::test]
async fn faults_are_set_seen_and_released() {
    let org = Org::start().await;
    let rule = json!({ "match": { "op": "write", "object": "Contact" }, "fault": "hold", "times": 1 });
    let (_, made) = admin(&org, Method::POST, "/faults", rule).await;
    let request = org.request(Method::POST, "/sobjects/Contact").json(&json!({ "LastName": "Held" }));
    let request = tokio::spawn(answer(request));
    let (_, held) = admin(&org, Method::GET, "/held?at_least=1", Value::Null).await;
    assert_eq!((&held["reached"], &held["held"][0]["op"]), (&json!(true), &json!("create")));
    let (_, rules) = admin(&org, Method::GET, "/faults", Value::Null).await;
    assert_eq!((&rules["rules"][0]["id"], &rules["rules"][0]["hits"]), (&made["id"], &json!(1)));
    let (_, released) = admin(&org, Method::POST, "/release", json!({ "request": held["held"][0]["request"] })).await;
    assert_eq!(released["released"], 1);
    assert_eq!(request.await.unwrap().0, 201);
    let (_, journal) = admin(&org, Method::GET, "/journal?after=0&at_least=1", Value::Null).await;
    assert_eq!(journal["effects"][0]["changes"]["LastName"]["after"], "Held");
    let (_, late) = admin(&org, Method::GET, "/journal?after=1&at_least=1&timeout_ms=10", Value::Null).await;
    assert_eq!((&late["reached"], &late["effects"]), (&json!(false), &json!([])));
    let (status, _) = admin(&org, Method::POST, "/faults", json!({ "fault": "nonsense" })).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn third_parties_change_records_too() {
    let org = Org::start().await;
    let (_, made) = admin(&org, Method::POST, "/records/Contact", json!({ "LastName": "Third" })).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/records/Contact/{id}");
    admin(&org, Method::PATCH, &path, json!({ "Title": "Party" })).await;
    let (_, read) = org.get(&format!("/sobjects/Contact/{id}")).await;
    assert_eq!(read["Title"], "Party");
    assert_ne!(read["CreatedById"], json!(org.running.journal_after(0)[0].id));
    admin(&org, Method::DELETE, &path, Value::Null).await;
    assert_eq!(code(&org.get(&format!("/sobjects/Contact/{id}")).await), "ENTITY_IS_DELETED");
    admin(&org, Method::POST, &format!("{path}/undelete"), Value::Null).await;
    assert_eq!(org.get(&format!("/sobjects/Contact/{id}")).await.0, 200);
    assert!(org.running.journal_after(0).iter().all(|e| e.request.is_none()));
    assert_eq!(org.running.journal_after(0).len(), 4);
    let (status, refused) = admin(&org, Method::POST, "/records/Contact", json!({ "FirstName": "x" })).await;
    assert_eq!((status, refused["error"].as_str().unwrap().starts_with("REQUIRED")), (400, true));
    let (_, records) = admin(&org, Method::GET, "/records/Contact", Value::Null).await;
    assert_eq!(records["records"].as_array().unwrap().len(), 61);
}

#[tokio::test]
async fn rules_locks_limits_and_tokens() {
    let mut org = Org::start().await;
    let rule = json!({ "name": "r", "object": "Contact", "field": "Title", "predicate": { "longer_than": 3 },
        "message": "short titles only" });
    admin(&org, Method::POST, "/rules", rule).await;
    let long = json!({ "LastName": "x", "Title": "long" });
    assert_eq!(code(&org.post("/sobjects/Contact", long.clone()).await), "FIELD_CUSTOM_VALIDATION_EXCEPTION");
    admin(&org, Method::DELETE, "/rules/r", Value::Null).await;
    let id = org.create("Contact", long).await;
    admin(&org, Method::POST, "/locks", json!({ "ids": [id] })).await;
    assert_eq!(code(&org.delete(&format!("/sobjects/Contact/{id}")).await), "UNABLE_TO_LOCK_ROW");
    admin(&org, Method::DELETE, "/locks", Value::Null).await;
    admin(&org, Method::POST, "/limits", json!({ "allowed": 0 })).await;
    assert_eq!(org.get("/limits").await.0, 403);
    admin(&org, Method::POST, "/limits", json!({ "allowed": 100_000 })).await;
    admin(&org, Method::POST, "/expire-tokens", Value::Null).await;
    assert_eq!(org.get("/limits").await.0, 401);
    let (_, token) = admin(&org, Method::POST, "/token", Value::Null).await;
    org.token = token["access_token"].as_str().unwrap().to_owned();
    assert_eq!(org.get("/limits").await.0, 200);
    let (_, chaos) = admin(&org, Method::POST, "/chaos", json!({ "seed": 1, "reset": 0.5 })).await;
    assert_eq!(chaos["ok"], true);
    let (_, chaos) = admin(&org, Method::GET, "/chaos", Value::Null).await;
    assert_eq!(chaos["chaos"]["reset"], 0.5);
    // What the admin does leaves no request behind.
    let (_, requests) = admin(&org, Method::GET, "/requests", Value::Null).await;
    let paths = requests["requests"].as_array().unwrap().iter().map(|r| r["path"].as_str().unwrap());
    assert!(paths.into_iter().all(|p| p.starts_with("/services")));
}
