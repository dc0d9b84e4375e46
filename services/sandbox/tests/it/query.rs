//! SOQL over HTTP.

use reqwest::Method;
use serde_json::json;
use upwrite_sandbox::salesforce::OrgOptions;

use crate::harness::{Org, answer, code};

#[tokio::test]
async fn conditions_find_what_they_say() {
    let org = Org::start().await;
    let one = org
        .create(
            "Contact",
            json!({ "LastName": "Zzyx", "Title": "O'Hara", "Visits__c": 5, "DoNotCall": true,
        "Birthdate": "1990-02-28", "Languages__c": "French;German", "UpwriteKey__c": "Key" }),
        )
        .await;
    let two = org.create("Contact", json!({ "LastName": "zzyz", "Visits__c": 7 })).await;
    let mine = "Id IN ('X1','X2') AND ".replace("X1", &one).replace("X2", &two);
    let cases: [(&str, &[&String]); 16] = [
        ("LastName = 'ZZYX'", &[&one]),
        ("LastName LIKE 'zzy_'", &[&one, &two]),
        ("Title = 'O\\'Hara'", &[&one]),
        ("Title = null", &[&two]),
        ("Title != 'x'", &[&one, &two]),
        ("Visits__c > 5", &[&two]),
        ("(Visits__c <= 5 OR Visits__c = 7)", &[&one, &two]),
        ("NOT Visits__c = 7", &[&one]),
        ("DoNotCall = true", &[&one]),
        ("Birthdate < 1990-03-01", &[&one]),
        ("CreatedDate > 2020-01-01T00:00:00Z", &[&one, &two]),
        ("CreatedDate > 2999-01-01T00:00:00.000+00:00", &[]),
        ("UpwriteKey__c = 'Key'", &[&one]),
        ("UpwriteKey__c = 'KEY'", &[]),
        ("Languages__c INCLUDES ('German','x')", &[&one]),
        ("Account.Name = null", &[&one, &two]),
    ];
    for (condition, wanted) in cases {
        let found = org.ids(&format!("SELECT Id FROM Contact WHERE {mine}{condition} ORDER BY Id")).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{condition}");
    }
    assert_eq!(org.ids("SELECT Id FROM Contact WHERE UpwriteKey__c IN ('Key')").await, [one]);
}

#[tokio::test]
async fn order_limit_offset_and_count() {
    let org = Org::start().await;
    let all = org.ids("SELECT Id FROM Contact ORDER BY SystemModstamp DESC, Id").await;
    assert_eq!(all.len(), 60);
    let window = org.ids("SELECT Id FROM Contact ORDER BY SystemModstamp DESC, Id LIMIT 5 OFFSET 10").await;
    assert_eq!(window, all[10..15]);
    let (_, count) = org.query("SELECT COUNT() FROM Contact WHERE Email LIKE '%@mail.example'").await;
    assert_eq!(count, json!({ "totalSize": 60, "done": true, "records": [] }));
    let (_, fields) = org.query("SELECT FIELDS(ALL) FROM Account LIMIT 1").await;
    assert!(fields["records"][0].as_object().unwrap().len() > 30);
    assert_eq!(code(&org.query("SELECT FIELDS(ALL) FROM Account").await), "MALFORMED_QUERY");
    for (soql, wanted) in [
        ("SELECT Nope FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Nope = 1", "INVALID_FIELD"),
        ("SELECT Nope.Id FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
    ] {
        let refused = org.query(soql).await;
        assert_eq!((refused.0, code(&refused)), (400, wanted), "{soql}");
    }
}

#[tokio::test]
async fn pages_and_the_recycle_bin() {
    let options = OrgOptions { contacts: 450, ..OrgOptions::default() };
    let org = Org::with(options).await;
    let first = org.request(Method::GET, "/query").query(&[("q", "SELECT Id FROM Contact")]);
    let (_, mut page) = answer(first.header("Sforce-Query-Options", "batchSize=200")).await;
    let mut sizes = vec![page["records"].as_array().unwrap().len()];
    let gone = page["records"][7]["Id"].as_str().unwrap().to_owned();
    while page["done"] == false {
        let next = format!("{}{}", org.running.base_url, page["nextRecordsUrl"].as_str().unwrap());
        page = answer(org.http.get(next).bearer_auth(&org.token)).await.1;
        sizes.push(page["records"].as_array().unwrap().len());
    }
    assert_eq!(sizes, [200, 200, 50]);
    org.delete(&format!("/sobjects/Contact/{gone}")).await;
    assert_eq!(org.ids(&format!("SELECT Id FROM Contact WHERE Id = '{gone}'")).await.len(), 0);
    let deleted = "SELECT Id, IsDeleted FROM Contact WHERE IsDeleted = true";
    let (_, bin) = answer(org.request(Method::GET, "/queryAll").query(&[("q", deleted)])).await;
    assert_eq!((&bin["totalSize"], &bin["records"][0]["Id"]), (&json!(1), &json!(gone)));
}

#[tokio::test]
async fn equal_seeds_give_equal_data() {
    let one = Org::start().await;
    let two = Org::start().await;
    let other = Org::with(OrgOptions { seed: 2, ..OrgOptions::default() }).await;
    let names = async |org: &Org| org.query("SELECT Id, Name, Email, AccountId FROM Contact").await.1;
    assert_eq!(names(&one).await, names(&two).await);
    assert_ne!(names(&one).await, names(&other).await);
    assert!(!names(&one).await.to_string().is_ascii(), "names are not all plain ASCII");
}
