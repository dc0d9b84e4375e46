//! The three OAuth flows, and what becomes of tokens.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use upwrite_sandbox::salesforce::OrgOptions;

use crate::harness::{Org, answer, code};

fn token_request(org: &Org, form: &[(&str, &str)]) -> RequestBuilder {
    org.http.post(format!("{}/services/oauth2/token", org.running.base_url)).form(form)
}

#[tokio::test]
async fn client_credentials_by_basic_or_by_form() {
    let org = Org::start().await;
    let grant = ("grant_type", "client_credentials");
    let by_basic = token_request(&org, &[grant]).basic_auth("sandbox-client", Some("sandbox-secret"));
    let (status, basic) = answer(by_basic).await;
    assert_eq!((status, basic["token_type"].as_str()), (200, Some("Bearer")));
    assert_eq!(basic["instance_url"], json!(org.running.base_url));
    assert!(basic["issued_at"].as_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(basic.get("refresh_token"), None);
    let secret = [grant, ("client_id", "sandbox-client"), ("client_secret", "sandbox-secret")];
    assert_eq!(answer(token_request(&org, &secret)).await.0, 200);
    let (status, refused) = answer(token_request(&org, &[grant, ("client_id", "sandbox-client")])).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_client")));
}

#[tokio::test]
async fn refresh_token_gives_tokens_that_work_until_expired() {
    let mut org = Org::start().await;
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", "sandbox-refresh-token"), ("client_id", "sandbox-client")];
    let (_, granted) = answer(token_request(&org, &form)).await;
    org.token = granted["access_token"].as_str().unwrap().to_owned();
    assert_eq!(org.get("/limits").await.0, 200);
    org.running.expire_tokens();
    let refused = org.post("/sobjects/Contact", json!({ "LastName": "x" })).await;
    assert_eq!((refused.0, code(&refused)), (401, "INVALID_SESSION_ID"));
    assert!(org.running.journal_after(0).is_empty());
}

#[tokio::test]
async fn an_unused_token_expires() {
    let options = OrgOptions { token_lifetime: Duration::ZERO, ..OrgOptions::default() };
    let org = Org::with(options).await;
    assert_eq!(org.get("/limits").await.0, 401);
}

/// A fresh RSA pair from node, which the jsforce test needs anyway: no private key lies in the tree.
fn key_pair() -> (String, String) {
    let script = "const {privateKey,publicKey}=require('crypto').generateKeyPairSync('rsa',{modulusLength:2048,\
                  privateKeyEncoding:{type:'pkcs8',format:'pem'},publicKeyEncoding:{type:'spki',format:'pem'}});\
                  console.log(JSON.stringify([privateKey,publicKey]))";
    let made = Command::new("node").args(["-e", script]).output().expect("node is needed: install it");
    serde_json::from_slice(&made.stdout).unwrap()
}

#[tokio::test]
async fn jwt_assertions_are_verified() {
    let (private, public) = key_pair();
    let options = OrgOptions { jwt_public_key_pem: Some(public), ..OrgOptions::default() };
    let org = Org::with(options).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let good = json!({
        "iss": "sandbox-client", "sub": "integration@example.com", "aud": "https://login.salesforce.com",
        "exp": now + 180,
    });
    let changed = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        claims
    };
    let (other, _) = key_pair();
    let cases = [
        ("as it should be", good.clone(), &private, 200),
        ("expired", changed("exp", json!(now - 600)), &private, 400),
        ("for another host", changed("aud", json!("https://example.com")), &private, 400),
        ("for another user", changed("sub", json!("nobody@example.com")), &private, 400),
        ("from another client", changed("iss", json!("x")), &private, 400),
        ("signed by another key", good.clone(), &other, 400),
    ];
    for (what, claims, key, wanted) in cases {
        let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
        let assertion = encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        let (status, body) = answer(token_request(&org, &form)).await;
        assert_eq!(status, wanted, "{what}: {body}");
    }
}
