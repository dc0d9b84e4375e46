//! The HTTP client itself. No redirects, no retries: what is sent twice is decided elsewhere.

use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::error::innermost;
use super::{Body, Request, Response, SendError, is_loopback};
use crate::budget::{Budget, TimeLimit};
use crate::limits::{DEFAULT_PENALTY, MAX_RESPONSE_BYTES, MAX_RETRY_AFTER};

/// How a source is reached.
#[derive(Debug)]
pub struct TransportOptions<'a> {
    /// Name of the source, for the metrics.
    pub source: &'a str,
    /// A loopback address is asked without the proxy that the environment may name.
    pub base_url: &'a str,
    /// Of connecting, with name look-up and TLS; shorter than a request's timeout, so that a host that does not answer
    /// is known not to have got the request.
    pub connect_timeout: Duration,
    /// Header in which the vendor says how much of its quota is used; only traced.
    pub usage_header: Option<&'static str>,
}

/// How long the whole source is to be left alone after an answer.
pub type PauseRule = fn(&Response) -> Option<Duration>;

/// The usual rule: after 429 as long as `Retry-After` says, or five seconds; after other refusals if they say so.
pub fn usual_pause(response: &Response) -> Option<Duration> {
    match response.status {
        429 => Some(response.retry_after.unwrap_or(DEFAULT_PENALTY)),
        200..=299 => None,
        _ => response.retry_after,
    }
}

/// One source's HTTP client, with its rate budget.
#[derive(Debug)]
pub struct Transport {
    client: reqwest::Client,
    source: String,
    usage_header: Option<&'static str>,
    budget: Budget,
}

impl Transport {
    /// Fails where [`super::install_crypto_provider`] was not called.
    pub fn new(options: &TransportOptions<'_>, budget: Budget) -> Result<Self, String> {
        // Building a TLS client without a provider would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err("no TLS provider: install_crypto_provider was not called".to_owned());
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_nodelay(true)
            .gzip(true)
            .user_agent(concat!("upwrite/", env!("CARGO_PKG_VERSION")));
        if Url::parse(options.base_url).is_ok_and(|url| is_loopback(&url)) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| innermost(&error))?;
        Ok(Self { client, source: options.source.to_owned(), usage_header: options.usage_header, budget })
    }

    /// Sends once, as soon as the budget allows, and reads the whole answer. If the answer asks for a pause, the whole
    /// budget rests, whoever shares it.
    pub async fn send(&self, request: Request, limit: &mut TimeLimit, pause: PauseRule) -> Result<Response, SendError> {
        if Instant::now() >= limit.until() {
            return Err(SendError::Unsent("no time left to send it".to_owned()));
        }
        self.budget.admit(limit).await?;
        let begun = Instant::now();
        let exchange = self.exchange(self.builder(request));
        let result = tokio::time::timeout_at(limit.until(), exchange).await.unwrap_or(Err(SendError::TimedOut));
        if let Some(pause) = result.as_ref().ok().and_then(pause) {
            tracing::info!(source = self.source, ?pause, "upstream wants to be left alone");
            self.budget.pause(pause);
        }
        let (source, outcome) = (self.source.clone(), outcome(&result));
        metrics::histogram!("upwrite_upstream_request_seconds", "source" => source, "outcome" => outcome)
            .record(begun.elapsed());
        result
    }

    fn builder(&self, request: Request) -> reqwest::RequestBuilder {
        let mut builder = self.client.request(request.method, request.url).header("Accept", "application/json");
        if let Some(token) = &request.bearer {
            builder = builder.bearer_auth(token.expose());
        }
        // A login without a token is nobody's request in particular: it is made for all who wait for it.
        if let Some(traceparent) = crate::trace::traceparent().filter(|_| request.bearer.is_some()) {
            builder = builder.header("traceparent", traceparent);
        }
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        match request.body {
            Body::None => builder,
            Body::Json(json) => builder.header("Content-Type", "application/json").body(json),
            Body::Form(form) => builder.form(&form),
        }
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Response, SendError> {
        let mut response = request.send().await.map_err(|error| SendError::of(&error))?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after")
            .and_then(|text| text.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        if let Some(usage) = self.usage_header.and_then(header) {
            tracing::trace!(usage, "API usage");
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| SendError::of(&error))? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(SendError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, retry_after, body })
    }
}

/// For the metrics.
fn outcome(result: &Result<Response, SendError>) -> &'static str {
    match result {
        Ok(response) => match response.status {
            200..=299 => "ok",
            429 => "limited",
            500.. => "failed",
            _ => "refused",
        },
        Err(SendError::OutOfBudget(_) | SendError::Unsent(_)) => "unsent",
        Err(SendError::TimedOut) => "timed_out",
        Err(SendError::Broken(_)) => "broken",
        Err(SendError::TooLong) => "too_long",
    }
}
