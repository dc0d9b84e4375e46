//! One SOQL query.

use std::time::Duration;

use serde::Deserialize;
use upwrite_events::TableSpec;

use super::super::client::{Client, RestRequest};
use super::super::record::Record;
use super::super::refusal::{of_answer, of_missing_answer};
use crate::UpstreamError;
use crate::budget::TimeLimit;
use crate::http::Response;
use crate::outcome::{About, unaccounted};

/// What reads need.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) client: &'a Client,
    pub(crate) source: &'a str,
    pub(crate) table: &'a TableSpec,
    pub(crate) time: ReadTime,
}

/// How long reading may take.
#[derive(Clone, Copy)]
pub(crate) enum ReadTime {
    /// Of each request.
    Each(Duration),
    /// All requests are a part of something that has this limit.
    Within(TimeLimit),
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
        About::read(self.source, self.table)
    }

    /// `all`: with records in the recycle bin.
    pub(super) fn query_request(soql: &str, all: bool) -> RestRequest {
        RestRequest::get(if all { "queryAll" } else { "query" }).with_query("q", soql)
    }

    pub(super) async fn query(&self, request: RestRequest) -> Result<Rows, UpstreamError> {
        let answer = self.send(&request).await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(&answer))
    }

    /// An answer of success, or why there is none.
    pub(super) async fn send(&self, request: &RestRequest) -> Result<Response, UpstreamError> {
        let mut limit = match self.time {
            ReadTime::Each(length) => TimeLimit::of_read(length),
            ReadTime::Within(limit) => limit,
        };
        let answer =
            self.client.send(request, &mut limit).await.map_err(|error| of_missing_answer(&self.about(), &error))?;
        if answer.is_success() { Ok(answer) } else { Err(of_answer(&self.about(), &answer).0) }
    }

    pub(super) fn unreadable(&self, answer: &Response) -> UpstreamError {
        unaccounted(&self.about(), answer.status, "the answer cannot be read")
    }
}
