//! Refusals as Ledger writes them: problem documents of RFC 9457.

use serde_json::{Map, Value, json};
use upwrite_sandbox::{Refusal, Rejection, Response};

/// One refusal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    status: u16,
    slug: String,
    detail: String,
    field: Option<String>,
    limit: Option<usize>,
}

impl Problem {
    pub(super) fn new(status: u16, slug: &str, detail: impl Into<String>) -> Self {
        Self { status, slug: slug.to_owned(), detail: detail.into(), field: None, limit: None }
    }

    pub(super) fn bad_value(detail: impl Into<String>) -> Self {
        Self::new(422, "bad-value", detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "not-found", "there is nothing here")
    }

    pub(super) fn on(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    pub(super) fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// For third parties, who get no HTTP.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.slug, self.detail)
    }

    pub(super) fn response(&self) -> Response {
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(format!("https://ledger.invalid/problems/{}", self.slug)));
        body.insert("title".to_owned(), json!(self.slug.replace('-', " ")));
        body.insert("status".to_owned(), json!(self.status));
        body.insert("detail".to_owned(), json!(self.detail));
        if let Some(field) = &self.field {
            body.insert("field".to_owned(), json!(field));
        }
        if let Some(limit) = self.limit {
            body.insert("limit".to_owned(), json!(limit));
        }
        Response::ok(Value::Object(body))
            .status(self.status)
            .header("content-type", "application/problem+json".to_owned())
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        let slug = rejection.code.as_deref().unwrap_or("internal");
        let problem = Self::new(rejection.status, slug, rejection.message.as_str());
        match rejection.fields.first() {
            Some(field) => problem.on(field),
            None => problem,
        }
    }
}

/// How the sandbox's refusals look.
pub(super) fn response(refusal: &Refusal) -> Response {
    let slow_down = |seconds: u64| {
        let problem = Problem::new(429, "slow-down", "too many requests");
        problem.response().header("retry-after", seconds.to_string())
    };
    let unavailable = |text: &str| Problem::new(503, "unavailable", text).response();
    match refusal {
        Refusal::UnreadableFault(text) => Problem::new(400, "bad-sandbox-fault", text.as_str()).response(),
        Refusal::BodyTooLarge => Problem::new(413, "too-long", "the body is too large or broke off").response(),
        Refusal::Rejected(rejection) => Problem::from(rejection).response(),
        // `unavailable` says that nothing was done.
        Refusal::ServerError { status: 503, applied: false } | Refusal::Unavailable => unavailable("try again later"),
        Refusal::ServerError { status, .. } => Problem::new(*status, "internal", "an unexpected error").response(),
        // Ledger has one limit only; the quota of a day is the one that takes long to come back.
        Refusal::OverQuota { daily } => slow_down(if *daily { 60 } else { 1 }),
        Refusal::RateLimited { retry_after_s } => slow_down(*retry_after_s),
        Refusal::Locked => unavailable("the record is being changed"),
    }
}
