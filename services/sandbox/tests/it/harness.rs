//! A sandbox with a plain HTTP client.

use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use upwrite_sandbox::salesforce::{OrgOptions, Salesforce};
use upwrite_sandbox::{Effect, Options, Running, Sandbox};

pub(crate) const DATA: &str = "/services/data/v62.0";

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Org {
    pub(crate) running: Running<Salesforce>,
    pub(crate) http: Client,
    pub(crate) token: String,
}

/// An HTTP client; the TLS provider it wants is installed once.
pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Org {
    pub(crate) async fn start() -> Self {
        Self::with(OrgOptions::default()).await
    }

    pub(crate) async fn with(options: OrgOptions) -> Self {
        let running = Sandbox::start(Options::default(), Salesforce::new(options)).await.unwrap();
        let token = running.issue_token();
        Self { running, http: client(), token }
    }

    /// A request under `/services/data/v62.0`, with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{DATA}{path}", self.running.base_url);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn query(&self, soql: &str) -> (u16, Value) {
        answer(self.request(Method::GET, "/query").query(&[("q", soql)])).await
    }

    /// Ids found by a query that must succeed.
    pub(crate) async fn ids(&self, soql: &str) -> Vec<String> {
        let (status, found) = self.query(soql).await;
        assert_eq!(status, 200, "{found}");
        let records = found["records"].as_array().unwrap();
        records.iter().map(|r| r["Id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn create(&self, object: &str, body: Value) -> String {
        let (status, made) = self.post(&format!("/sobjects/{object}"), body).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Creates a contact with this fault in the header.
    pub(crate) fn faulty(&self, fault: &str) -> RequestBuilder {
        let request = self.request(Method::POST, "/sobjects/Contact");
        request.header("X-Sandbox-Fault", fault).json(&json!({ "LastName": "Faulty" }))
    }

    /// Waits for effects after `seq` until there are `n`.
    pub(crate) async fn effects(&self, seq: u64, n: usize) -> Vec<Effect> {
        self.running.wait_until(PATIENCE, |s| s.journal_after(seq).len() >= n).await;
        self.running.journal_after(seq)
    }
}

/// Sends, and reads status and JSON (null for an empty body; text that is no JSON as a string).
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    if text.is_empty() {
        return (status, Value::Null);
    }
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// `errorCode` of a refused single-record request.
pub(crate) fn code((_, body): &(u16, Value)) -> &str {
    body[0]["errorCode"].as_str().unwrap_or("none")
}
