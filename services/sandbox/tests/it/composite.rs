//! Several requests in one call.

use serde_json::{Value, json};

use crate::harness::{DATA, Org};

fn part(method: &str, path: &str, reference: &str, body: Value) -> Value {
    json!({ "method": method, "url": format!("{DATA}{path}"), "referenceId": reference, "body": body })
}

fn statuses(answer: &Value) -> Vec<u64> {
    let parts = answer["compositeResponse"].as_array().unwrap().iter();
    parts.map(|p| p["httpStatusCode"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn later_parts_use_earlier_answers() {
    let org = Org::start().await;
    let parts = json!({ "allOrNone": true, "compositeRequest": [
        part("POST", "/sobjects/Account", "a", json!({ "Name": "Parent" })),
        part("PATCH", "/sobjects/Contact/UpwriteKey__c/k", "c", json!({ "LastName": "C", "AccountId": "@{a.id}" })),
        part("GET", "/query?q=SELECT+Id,Name+FROM+Account+WHERE+Id='@{a.id}'", "q", Value::Null),
        part("PATCH", "/sobjects/Contact/@{c.id}", "u", json!({ "Title": "@{q.records[0].Name}" })),
        part("GET", "/sobjects/Contact/@{c.id}?fields=Title", "r", Value::Null),
    ]});
    let (status, answer) = org.post("/composite", parts).await;
    assert_eq!((status, statuses(&answer)), (200, vec![201, 201, 200, 204, 200]), "{answer}");
    assert_eq!(answer["compositeResponse"][4]["body"]["Title"], "Parent");
    // One call against the budget, one request in the journal.
    assert_eq!(org.running.requests_after(0).len(), 1);
    assert_eq!(org.running.requests_after(0)[0].objects, ["Account", "Contact"]);
}

#[tokio::test]
async fn a_failure_halts_all_or_only_what_depends_on_it() {
    let org = Org::start().await;
    let parts = |all: bool| {
        json!({ "allOrNone": all, "compositeRequest": [
            part("POST", "/sobjects/Account", "a", json!({ "Name": "A" })),
            part("POST", "/sobjects/Contact", "b", json!({ "FirstName": "no last name" })),
            part("PATCH", "/sobjects/Contact/@{b.id}", "c", json!({ "Title": "x" })),
        ]})
    };
    let (_, all) = org.post("/composite", parts(true)).await;
    assert_eq!(statuses(&all), [400, 400, 400]);
    let code = |n: usize| all["compositeResponse"][n]["body"][0]["errorCode"].as_str().unwrap();
    assert_eq!([code(0), code(1), code(2)], ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]);
    assert!(org.running.journal_after(0).is_empty());
    let (_, each) = org.post("/composite", parts(false)).await;
    assert_eq!(statuses(&each), [201, 400, 400]);
    assert_eq!(org.running.journal_after(0).len(), 1);
}

#[tokio::test]
async fn too_many_parts_are_refused() {
    let org = Org::start().await;
    let many = |n: usize, path: &str| {
        let parts = (0..n).map(|i| part("GET", path, &format!("r{i}"), Value::Null));
        json!({ "compositeRequest": parts.collect::<Vec<Value>>() })
    };
    assert_eq!(org.post("/composite", many(25, "/limits")).await.0, 200);
    assert_eq!(org.post("/composite", many(26, "/limits")).await.0, 400);
    assert_eq!(org.post("/composite", many(6, "/query?q=SELECT+Id+FROM+User")).await.0, 400);
    assert_eq!(
        org.post("/composite", json!({ "compositeRequest": [part("POST", "/composite", "x", json!({}))] })).await.0,
        400
    );
}
