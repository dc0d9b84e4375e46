//! The admin calls from another process: what the demo, the whole-system tests and the benchmarks use.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Chaos, Effect, RequestEntry, Timing};

/// A client of a running sandbox's admin calls.
#[derive(Clone, Debug)]
pub struct AdminClient {
    base_url: String,
    http: reqwest::Client,
}

/// An admin call that did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer, or not the expected one.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// What was waited for did not come to pass.
    #[error("{0} did not come in time")]
    NotReached(&'static str),
}

type Result<T> = std::result::Result<T, AdminError>;

#[derive(Deserialize)]
struct Wait {
    reached: bool,
}

#[derive(Deserialize)]
struct EffectList {
    effects: Vec<Effect>,
}

#[derive(Deserialize)]
struct RequestList {
    requests: Vec<RequestEntry>,
}

#[derive(Deserialize)]
struct RecordList {
    records: Vec<Value>,
}

#[derive(Deserialize)]
struct OneRecord {
    record: Option<Value>,
}

impl AdminClient {
    /// `base_url` as in `http://127.0.0.1:8080`. The process must have a rustls provider installed.
    pub fn new(base_url: impl Into<String>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { base_url: base_url.into(), http })
    }

    /// The sandbox's own address.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    fn url(&self, path: &str) -> String {
        format!("{}/admin/{path}", self.base_url)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(self.http.get(self.url(path)).send().await?.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.http.post(self.url(path)).json(body).send().await?.error_for_status()?.json().await?)
    }

    /// Puts `fault` (a word, or a word with parameters) on the next `times` requests that match.
    pub async fn fault(&self, matching: Value, fault: Value, times: u64) -> Result<()> {
        self.post("faults", &json!({ "match": matching, "fault": fault, "times": times })).await?;
        Ok(())
    }

    /// Removes all rules.
    pub async fn clear_faults(&self) -> Result<()> {
        self.http.delete(self.url("faults")).send().await?.error_for_status()?;
        Ok(())
    }

    /// Faults by chance; `None` ends them.
    pub async fn chaos(&self, chaos: Option<&Chaos>) -> Result<()> {
        match chaos {
            Some(chaos) => self.post("chaos", &json!(chaos)).await.map(drop),
            None => Ok(self.http.delete(self.url("chaos")).send().await?.error_for_status().map(drop)?),
        }
    }

    /// Waits until `count` requests are held.
    pub async fn held(&self, count: usize) -> Result<()> {
        let Wait { reached } = self.get(&format!("held?at_least={count}")).await?;
        if reached { Ok(()) } else { Err(AdminError::NotReached("a held request")) }
    }

    /// Lets all held requests go on.
    pub async fn release(&self) -> Result<()> {
        self.post("release", &json!({})).await.map(drop)
    }

    /// Every effect with a sequence number above `after`.
    pub async fn journal(&self, after: u64) -> Result<Vec<Effect>> {
        Ok(self.get::<EffectList>(&format!("journal?after={after}&limit=10000000")).await?.effects)
    }

    /// Every request with a sequence number above `after`.
    pub async fn requests(&self, after: u64) -> Result<Vec<RequestEntry>> {
        Ok(self.get::<RequestList>(&format!("requests?after={after}&limit=10000000")).await?.requests)
    }

    /// Time spent upstream in the calls after `after`.
    pub async fn timing(&self, after: u64) -> Result<Timing> {
        self.get(&format!("timing?after={after}")).await
    }

    /// All records of an object that are not deleted.
    pub async fn records(&self, object: &str) -> Result<Vec<Value>> {
        Ok(self.get::<RecordList>(&format!("records/{object}")).await?.records)
    }

    /// One record by id, unless it is deleted.
    pub async fn record(&self, object: &str, id: &str) -> Result<Option<Value>> {
        Ok(self.get::<OneRecord>(&format!("records/{object}/{id}")).await?.record)
    }
}
