//! One SOQL query.

use serde::Deserialize;
use tokio::time::Instant;
use upwrite_events::TableSpec;

use super::super::http::{Answer, Client, Request};
use super::super::record::Record;
use super::super::refusal::{About, of_answer, of_missing_answer, unaccounted};
use crate::UpstreamError;

/// What reads need.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) client: &'a Client,
    pub(crate) source: &'a str,
    pub(crate) table: &'a TableSpec,
    /// Of each request.
    pub(crate) timeout: std::time::Duration,
}

/// Rows of one answer. The vendor may give fewer than asked for and say that it is not done.
#[derive(Deserialize)]
pub(super) struct Rows {
    #[serde(default)]
    pub(super) done: Option<bool>,
    pub(super) records: Vec<Record>,
}

impl<'a> Reading<'a> {
    pub(super) fn about(&self) -> About<'a> {
        About { source: self.source, table: Some(self.table), op: None, row: None, row_exists: false }
    }

    /// `all`: with records in the recycle bin.
    pub(super) fn query_request(soql: &str, all: bool) -> Request {
        Request::get(if all { "queryAll" } else { "query" }).with_query("q", soql)
    }

    pub(super) async fn query(&self, request: Request) -> Result<Rows, UpstreamError> {
        let answer = self.send(&request).await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(&answer))
    }

    /// An answer of success, or why there is none.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, UpstreamError> {
        let answer = self
            .client
            .send(request, Instant::now() + self.timeout)
            .await
            .map_err(|error| of_missing_answer(&self.about(), &error).0)?;
        if answer.is_success() { Ok(answer) } else { Err(of_answer(&self.about(), &answer).0) }
    }

    pub(super) fn unreadable(&self, answer: &Answer) -> UpstreamError {
        unaccounted(&self.about(), answer.status, "the answer cannot be read")
    }
}
