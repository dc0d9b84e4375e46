//! Every refusal that the sandbox knows, in the vendor's words.

use reqwest::Method;
use serde_json::{Value, json};
use upwrite_sandbox::salesforce::{DuplicateRule, Predicate, ValidationRule};

use crate::harness::{Org, answer, code};

#[tokio::test]
async fn what_is_wrong_with_the_data_is_told_by_code_and_field() {
    let org = Org::start().await;
    let account = org.create("Account", json!({ "Name": "Gone" })).await;
    org.delete(&format!("/sobjects/Account/{account}")).await;
    let user = org.ids("SELECT Id FROM User LIMIT 1").await.remove(0);
    let deal = |member: &str, value: Value| {
        let mut deal = json!({ "Name": "D", "StageName": "Prospecting", "CloseDate": "2030-01-01" });
        deal[member] = value;
        deal
    };
    let mut made_up = account.clone();
    made_up.replace_range(12..18, "zzzAAA");
    let unknown = upwrite_id(&made_up[..15]);
    let cases = [
        ("Contact", json!({ "FirstName": "x" }), "REQUIRED_FIELD_MISSING", json!(["LastName"])),
        ("Opportunity", json!({ "Name": "x" }), "REQUIRED_FIELD_MISSING", json!(["StageName", "CloseDate"])),
        ("Contact", json!({ "LastName": "x".repeat(81) }), "STRING_TOO_LONG", json!(["LastName"])),
        ("Contact", json!({ "LastName": "x", "Email": "a b@c.example" }), "INVALID_EMAIL_ADDRESS", json!(["Email"])),
        (
            "Opportunity",
            deal("StageName", json!("Nope")),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            json!(["StageName"]),
        ),
        ("Opportunity", deal("Amount", json!(1e17)), "NUMBER_OUTSIDE_VALID_RANGE", json!(["Amount"])),
        ("Opportunity", deal("Amount", json!(-1)), "FIELD_CUSTOM_VALIDATION_EXCEPTION", json!(["Amount"])),
        ("Opportunity", deal("Amount", json!("much")), "JSON_PARSER_ERROR", Value::Null),
        ("Opportunity", deal("CloseDate", json!("2030-02-30")), "JSON_PARSER_ERROR", Value::Null),
        ("Contact", json!({ "LastName": "x", "AccountId": "nope" }), "MALFORMED_ID", json!(["AccountId"])),
        ("Contact", json!({ "LastName": "x", "AccountId": user }), "MALFORMED_ID", json!(["AccountId"])),
        (
            "Contact",
            json!({ "LastName": "x", "AccountId": unknown }),
            "INVALID_CROSS_REFERENCE_KEY",
            json!(["AccountId"]),
        ),
        ("Contact", json!({ "LastName": "x", "AccountId": account }), "ENTITY_IS_DELETED", json!(["AccountId"])),
        ("Contact", json!({ "LastName": "x", "Nope": 1 }), "INVALID_FIELD", Value::Null),
        ("Contact", json!({ "LastName": "x", "Name": "y" }), "INVALID_FIELD_FOR_INSERT_UPDATE", json!(["Name"])),
        ("Contact", json!({ "LastName": "x", "Id": account }), "INVALID_FIELD", json!(["Id"])),
        ("User", json!({ "Name": "x" }), "INVALID_TYPE_FOR_OPERATION", Value::Null),
    ];
    let before = org.running.journal_after(0).len();
    for (object, body, wanted, fields) in cases {
        let refused = org.post(&format!("/sobjects/{object}"), body.clone()).await;
        assert_eq!((refused.0, code(&refused)), (400, wanted), "{object} {body} -> {}", refused.1);
        assert_eq!(refused.1[0]["fields"], fields, "{object} {body}");
    }
    assert_eq!(org.running.journal_after(0).len(), before);
}

/// The 18-character form by asking the sandbox's own rule: the checksum is upper-case bits of three chunks.
fn upwrite_id(short: &str) -> String {
    let check = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let bits = |chunk: &[u8]| (0..5).filter(|i| chunk[*i].is_ascii_uppercase()).fold(0, |sum, i| sum + (1 << i));
    let suffix = short.as_bytes().chunks(5).map(|chunk| check[bits(chunk)] as char);
    short.chars().chain(suffix).collect()
}

#[tokio::test]
async fn bodies_and_paths_that_make_no_sense() {
    let org = Org::start().await;
    let raw = async |method: Method, path: &str, body: &'static str| answer(org.request(method, path).body(body)).await;
    assert_eq!(code(&raw(Method::POST, "/sobjects/Contact", "{").await), "JSON_PARSER_ERROR");
    assert_eq!(code(&raw(Method::POST, "/sobjects/Contact", "[]").await), "JSON_PARSER_ERROR");
    assert_eq!(raw(Method::POST, "/sobjects/Nope", "{}").await.0, 404);
    assert_eq!(raw(Method::PUT, "/sobjects/Contact", "{}").await.0, 405);
    assert_eq!(org.get("/nope").await.0, 404);
    assert_eq!(org.patch("/sobjects/Contact/003000000000000AAA", json!({ "LastName": "x" })).await.0, 404);
    assert_eq!(org.get("/sobjects/Contact/no-id").await.0, 404);
    let refused = org.get("/query/0r8000000000009AAA-2000").await;
    assert_eq!(code(&refused), "INVALID_QUERY_LOCATOR");
}

#[tokio::test]
async fn unique_keys_duplicate_rules_and_validation_rules() {
    let org = Org::start().await;
    let first = org.create("Contact", json!({ "LastName": "A", "Email": "a@b.example", "UpwriteKey__c": "k" })).await;
    let twin = org.post("/sobjects/Contact", json!({ "LastName": "B", "UpwriteKey__c": "k" })).await;
    assert_eq!(code(&twin), "DUPLICATE_VALUE");
    assert!(twin.1[0]["message"].as_str().unwrap().contains(&first));
    let again = json!({ "LastName": "B", "Email": "A@B.example" });
    org.create("Contact", again.clone()).await;
    let rule = |active, allow_save| DuplicateRule {
        name: "Contact_Email".into(),
        object: "Contact".into(),
        field: "Email".into(),
        active,
        allow_save,
    };
    org.running.vendor().set_duplicate_rule(rule(true, true));
    let found = org.post("/sobjects/Contact", again.clone()).await;
    assert_eq!(code(&found), "DUPLICATES_DETECTED");
    let record = &found.1[0]["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"];
    assert_eq!(record["Id"], first);
    let allowed = |org: &Org| {
        let request = org.request(Method::POST, "/sobjects/Contact").json(&again);
        request.header("Sforce-Duplicate-Rule-Header", "allowSave=true; runAsCurrentUser=true")
    };
    assert_eq!(answer(allowed(&org)).await.0, 201);
    org.running.vendor().set_duplicate_rule(rule(true, false));
    assert_eq!(answer(allowed(&org)).await.0, 400);
    org.running.vendor().set_validation_rule(ValidationRule {
        name: "no_test".into(),
        object: "Contact".into(),
        field: "LastName".into(),
        predicate: Predicate::Matches("(?i)^test".into()),
        message: "No tests, please.".into(),
    });
    let refused = org.patch(&format!("/sobjects/Contact/{first}"), json!({ "LastName": "Testa" })).await;
    assert_eq!(refused.1[0]["message"], "No tests, please.");
    // A deleted record gives its key free.
    org.delete(&format!("/sobjects/Contact/{first}")).await;
    org.create("Contact", json!({ "LastName": "C", "UpwriteKey__c": "k" })).await;
}

#[tokio::test]
async fn locks_children_and_budgets() {
    let org = Org::start().await;
    let account = org.create("Account", json!({ "Name": "Parent" })).await;
    let contact = org.create("Contact", json!({ "LastName": "C", "AccountId": account })).await;
    org.running.vendor().lock_rows(&[&account]);
    let update = async || org.patch(&format!("/sobjects/Contact/{contact}"), json!({ "Title": "x" })).await;
    assert_eq!(code(&update().await), "UNABLE_TO_LOCK_ROW");
    org.running.vendor().lock_rows(&[]);
    assert_eq!(update().await.0, 204);

    let deal = json!({ "Name": "D", "StageName": "Prospecting", "CloseDate": "2030-01-01", "AccountId": account });
    let deal = org.create("Opportunity", deal).await;
    assert_eq!(code(&org.delete(&format!("/sobjects/Account/{account}")).await), "DELETE_FAILED");
    org.delete(&format!("/sobjects/Opportunity/{deal}")).await;
    let before = org.running.journal_after(0).len() as u64;
    assert_eq!(org.delete(&format!("/sobjects/Account/{account}")).await.0, 204);
    let gone: Vec<String> = org.running.journal_after(before).into_iter().map(|e| e.id).collect();
    assert_eq!(gone, [contact.clone(), account]);

    org.running.vendor().set_api_budget(10, 10);
    let refused = org.get("/limits").await;
    assert_eq!((refused.0, code(&refused)), (403, "REQUEST_LIMIT_EXCEEDED"));
    org.running.vendor().set_api_budget(0, 10);
    let answered = org.request(Method::GET, "/limits").send().await.unwrap();
    assert_eq!(answered.headers()["sforce-limit-info"], "api-usage=1/10");
}
