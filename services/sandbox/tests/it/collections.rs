//! Up to 200 records in one call.

use serde_json::{Value, json};

use crate::harness::{Org, code};

const PATH: &str = "/composite/sobjects";

fn contacts(members: Vec<Value>, all: bool) -> Value {
    let typed = members.into_iter().map(|mut m| {
        m["attributes"] = json!({ "type": "Contact" });
        m
    });
    json!({ "allOrNone": all, "records": typed.collect::<Vec<Value>>() })
}

fn codes(results: &Value) -> Vec<&str> {
    let results = results.as_array().unwrap().iter();
    results.map(|r| r["errors"][0]["statusCode"].as_str().unwrap_or("ok")).collect()
}

#[tokio::test]
async fn each_row_has_its_own_result() {
    let org = Org::start().await;
    let rows = vec![
        json!({ "LastName": "A", "UpwriteKey__c": "1" }),
        json!({ "FirstName": "none" }),
        json!({ "LastName": "B", "UpwriteKey__c": "1" }),
        json!({ "LastName": "C", "Birthdate": true }),
        json!({ "LastName": "D" }),
    ];
    let (status, results) = org.post(PATH, contacts(rows, false)).await;
    assert_eq!(status, 200);
    let wanted = ["ok", "REQUIRED_FIELD_MISSING", "DUPLICATE_VALUE", "INVALID_TYPE_ON_FIELD_IN_RECORD", "ok"];
    assert_eq!(codes(&results), wanted);
    assert_eq!(org.running.journal_after(0).len(), 2);
}

#[tokio::test]
async fn all_or_none_takes_everything_back() {
    let org = Org::start().await;
    let victim = org.create("Contact", json!({ "LastName": "V", "UpwriteKey__c": "v" })).await;
    let before = org.running.records("Contact", true);
    let rows = vec![json!({ "LastName": "A", "UpwriteKey__c": "a" }), json!({ "LastName": "B", "UpwriteKey__c": "v" })];
    let (_, results) = org.post(PATH, contacts(rows, true)).await;
    assert_eq!(codes(&results), ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "DUPLICATE_VALUE"]);
    let rows = vec![json!({ "id": victim, "Title": "x" }), json!({ "id": "003000000000000AAA", "Title": "x" })];
    let (_, results) = org.patch(PATH, contacts(rows, true)).await;
    assert_eq!(codes(&results), ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_CROSS_REFERENCE_KEY"]);
    assert_eq!(org.running.records("Contact", true), before);
    assert_eq!(org.running.journal_after(0).len(), 1);
    // What was taken back left nothing in the unique index.
    org.create("Contact", json!({ "LastName": "A", "UpwriteKey__c": "a" })).await;
}

#[tokio::test]
async fn update_upsert_delete_and_retrieve() {
    let org = Org::start().await;
    let upsert =
        async |rows: Value| org.patch(&format!("{PATH}/Contact/UpwriteKey__c"), json!({ "records": rows })).await.1;
    let made = upsert(json!([{ "UpwriteKey__c": "1", "LastName": "A" }, { "LastName": "no key" }])).await;
    assert_eq!(codes(&made), ["ok", "MISSING_ARGUMENT"]);
    let same = upsert(json!([{ "UpwriteKey__c": "1", "LastName": "B" }])).await;
    assert_eq!((&same[0]["created"], &same[0]["id"]), (&json!(false), &made[0]["id"]));
    let id = made[0]["id"].as_str().unwrap();
    let account = org.create("Account", json!({ "Name": "A" })).await;
    let mixed = json!({ "records": [
        { "attributes": { "type": "Contact" }, "id": id, "Title": "x" },
        { "attributes": { "type": "Account" }, "id": account, "Phone": "1" },
        { "attributes": { "type": "Nope" }, "id": account },
    ]});
    let (_, results) = org.patch(PATH, mixed).await;
    assert_eq!(codes(&results), ["ok", "ok", "INVALID_TYPE"]);
    let path = format!("{PATH}/Contact?ids={id},003000000000000AAA&fields=Title");
    let (_, rows) = org.get(&path).await;
    assert_eq!((&rows[0]["Title"], &rows[1]), (&json!("x"), &Value::Null));
    let body = json!({ "ids": [id], "fields": ["LastName"] });
    let (_, rows) = org.post(&format!("{PATH}/Contact"), body).await;
    assert_eq!(rows[0]["LastName"], "B");
    let (_, results) = org.delete(&format!("{PATH}?ids={id},{account},{id}&allOrNone=false")).await;
    assert_eq!(codes(&results), ["ok", "ok", "ENTITY_IS_DELETED"]);
}

#[tokio::test]
async fn limits_of_a_call() {
    let org = Org::start().await;
    let many = |n: usize| (0..n).map(|i| json!({ "LastName": format!("n{i}") })).collect::<Vec<_>>();
    let (status, results) = org.post(PATH, contacts(many(200), true)).await;
    assert_eq!((status, results.as_array().unwrap().len()), (200, 200));
    let refused = org.post(PATH, contacts(many(201), true)).await;
    assert_eq!((refused.0, code(&refused)), (400, "EXCEEDED_ID_LIMIT"));
    let turns: Vec<Value> = (0..11)
        .map(|n| json!({ "attributes": { "type": (["Account", "Contact"][n % 2]) }, "Name": "x", "LastName": "x" }))
        .collect();
    assert_eq!(org.post(PATH, json!({ "records": turns })).await.0, 400);
    assert_eq!(org.running.journal_after(0).len(), 200);
}
