//! One record at a time.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use upwrite_sandbox::EffectOp;

use crate::harness::{Org, answer, code};

#[tokio::test]
async fn the_life_of_a_record_is_in_the_journal() {
    let org = Org::start().await;
    let id = org.create("Contact", json!({ "LastName": "Ōe", "Visits__c": 1, "UpwriteKey__c": "k1" })).await;
    assert_eq!(id.len(), 18);
    assert_eq!(org.patch(&format!("/sobjects/Contact/{id}"), json!({ "Visits__c": 2 })).await, (204, Value::Null));
    let (_, read) = org.get(&format!("/sobjects/contact/{}?fields=Name,visits__c", &id[..15])).await;
    assert_eq!(read["attributes"]["type"], "Contact");
    assert_eq!((read["Name"].as_str(), read["Visits__c"].as_f64()), (Some("Ōe"), Some(2.0)));
    assert_eq!(org.delete(&format!("/sobjects/Contact/{id}")).await.0, 204);
    let again = org.delete(&format!("/sobjects/Contact/{id}")).await;
    assert_eq!((again.0, code(&again)), (404, "ENTITY_IS_DELETED"));

    let effects = org.running.journal_after(0);
    let ops: Vec<EffectOp> = effects.iter().map(|e| e.op).collect();
    assert_eq!(ops, [EffectOp::Create, EffectOp::Update, EffectOp::Delete]);
    assert!(effects.iter().all(|e| e.key.as_deref() == Some("k1") && e.id == id));
    let change = &effects[1].changes["Visits__c"];
    assert_eq!((change.before.as_f64(), change.after.as_f64()), (Some(1.0), Some(2.0)));
    assert_eq!(effects[1].changes.len(), 1);
    assert_eq!(effects.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn computed_values_and_defaults() {
    let org = Org::start().await;
    let account = org.create("Account", json!({ "Name": "A", "Rating": "Hot", "BillingCity": "Köln" })).await;
    let deal = json!({ "Name": "D", "StageName": "Closed Won", "CloseDate": "2030-01-01", "Amount": 12.345,
        "AccountId": account });
    let deal = org.create("Opportunity", deal).await;
    let (_, read) = org.get(&format!("/sobjects/Opportunity/{deal}")).await;
    assert_eq!((read["Amount"].to_string(), read["Weighted_Amount__c"].to_string()), ("12.35".into(), "12.35".into()));
    assert_eq!((&read["IsWon"], &read["Probability"]), (&json!(true), &json!(100.0)));
    assert!(read["Serial__c"].as_str().unwrap().starts_with("O-"));
    let (_, read) = org.get(&format!("/sobjects/Account/{account}")).await;
    assert_eq!(read["BillingAddress"]["city"], "Köln");
    assert_eq!(read["BillingAddress"]["geocodeAccuracy"], Value::Null);

    // A formula over the parent changes without the child's own stamp moving.
    let contact = org.create("Contact", json!({ "LastName": "C", "AccountId": account })).await;
    let path = format!("/sobjects/Contact/{contact}?fields=Account_Rating__c,SystemModstamp");
    let (_, before) = org.get(&path).await;
    org.patch(&format!("/sobjects/Account/{account}"), json!({ "Rating": "Cold" })).await;
    let (_, after) = org.get(&path).await;
    assert_eq!((&before["Account_Rating__c"], &after["Account_Rating__c"]), (&json!("Hot"), &json!("Cold")));
    assert_eq!(before["SystemModstamp"], after["SystemModstamp"]);
}

#[tokio::test]
async fn upsert_by_external_id() {
    let org = Org::start().await;
    let path = "/sobjects/Contact/UpwriteKey__c/a%2Fb%20c";
    let (status, made) = org.patch(path, json!({ "LastName": "Made" })).await;
    assert_eq!((status, &made["created"]), (201, &json!(true)));
    let (status, same) = org.patch(path, json!({ "FirstName": "Same" })).await;
    assert_eq!((status, &same["created"], &same["id"]), (200, &json!(false), &made["id"]));
    let (_, read) = org.get(path).await;
    assert_eq!((&read["UpwriteKey__c"], &read["Name"]), (&json!("a/b c"), &json!("Same Made")));
    // Case matters: another key, another record.
    assert_eq!(org.patch("/sobjects/Contact/UpwriteKey__c/A%2FB%20C", json!({ "LastName": "Other" })).await.0, 201);
    let only = org.patch("/sobjects/Contact/UpwriteKey__c/none?updateOnly=true", json!({ "LastName": "x" })).await;
    assert_eq!(only.0, 404);
    assert_eq!(org.patch("/sobjects/Contact/Email/x%40y.example", json!({ "LastName": "x" })).await.0, 404);
    let by_parent = json!({ "LastName": "Child", "ReportsTo": { "UpwriteKey__c": "a/b c" } });
    let child = org.create("Contact", by_parent).await;
    let (_, read) = org.get(&format!("/sobjects/Contact/{child}?fields=ReportsToId")).await;
    assert_eq!(read["ReportsToId"], made["id"]);
}

#[tokio::test]
async fn conditional_requests() {
    let org = Org::start().await;
    let id = org.create("Account", json!({ "Name": "A" })).await;
    let path = format!("/sobjects/Account/{id}");
    let read = org.request(Method::GET, &path).send().await.unwrap();
    let header = |name: &str| read.headers()[name].to_str().unwrap().to_owned();
    let (tag, modified) = (header("etag"), header("last-modified"));
    let status = async |method: Method, name: &'static str, value: &str| {
        let request = org.request(method, &path).header(name, value).json(&json!({ "Phone": "1" }));
        request.send().await.unwrap().status()
    };
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(status(Method::GET, "if-none-match", &tag).await, StatusCode::NOT_MODIFIED);
    assert_eq!(status(Method::GET, "if-modified-since", &modified).await, StatusCode::NOT_MODIFIED);
    assert_eq!(status(Method::PATCH, "if-unmodified-since", past).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(status(Method::PATCH, "if-unmodified-since", "yesterday").await, StatusCode::BAD_REQUEST);
    assert_eq!(org.running.journal_after(0).len(), 1);
    assert_eq!(status(Method::PATCH, "if-match", &tag).await, StatusCode::NO_CONTENT);
    assert_eq!(status(Method::PATCH, "if-match", &tag).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(status(Method::DELETE, "if-unmodified-since", past).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_object_may_lack_the_key_field() {
    let options =
        upwrite_sandbox::salesforce::OrgOptions { key_field_on: vec!["Account".to_owned()], ..Default::default() };
    let org = Org::with(options).await;
    let has = async |object: &str| {
        let (_, described) = answer(org.request(Method::GET, &format!("/sobjects/{object}/describe"))).await;
        described["fields"].as_array().unwrap().iter().any(|f| f["name"] == "UpwriteKey__c")
    };
    assert!(has("Account").await && !has("Contact").await);
    let refused = org.post("/sobjects/Contact", json!({ "LastName": "x", "UpwriteKey__c": "k" })).await;
    assert_eq!(code(&refused), "INVALID_FIELD");
}
