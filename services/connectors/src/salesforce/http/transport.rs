//! The HTTP client itself. No redirects, no retries: what is sent twice is decided elsewhere.

use std::time::Duration;

use tokio::time::Instant;

use super::super::config::Config;
use super::super::limits::{MAX_ANSWER_BYTES, MAX_RETRY_AFTER};
use super::super::validate::{check_base_url, is_loopback};

/// Makes `ring` the process's TLS provider. To be called once at the start of the process (calls after the first
/// change nothing); without it, building a connector fails.
pub fn install_crypto_provider() {
    // Err means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SendError {
    /// No byte of the request was written.
    #[error("could not connect: {0}")]
    Unsent(String),
    /// The request may have arrived.
    #[error("no answer within the time allowed")]
    TimedOut,
    /// The request may have arrived.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The request arrived, its answer is too long to be read.
    #[error("answer of more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

pub(crate) struct Transport {
    client: reqwest::Client,
    /// Name of the source, for the metrics.
    source: String,
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        // Building a TLS client without a provider would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err("no TLS provider: install_crypto_provider was not called".to_owned());
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_nodelay(true)
            .gzip(true)
            .user_agent(concat!("upwrite/", env!("CARGO_PKG_VERSION")));
        if check_base_url(&config.login_url).is_ok_and(|url| is_loopback(&url)) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| chain(&error))?;
        Ok(Self { client, source: config.source.clone() })
    }

    pub(crate) fn request(&self, method: reqwest::Method, url: reqwest::Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    pub(crate) async fn post_form(
        &self,
        url: &str,
        form: &[(&'static str, String)],
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let request = self.client.post(url).header("Accept", "application/json").form(form);
        self.send(request, deadline).await
    }

    /// Sends once and reads the whole answer.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder, deadline: Instant) -> Result<Answer, SendError> {
        if Instant::now() >= deadline {
            return Err(SendError::Unsent("no time left to send it".to_owned()));
        }
        let begun = Instant::now();
        let result = match tokio::time::timeout_at(deadline, exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(SendError::TimedOut),
        };
        let (source, outcome) = (self.source.clone(), outcome(&result));
        metrics::histogram!("upwrite_upstream_request_seconds", "source" => source, "outcome" => outcome)
            .record(begun.elapsed());
        result
    }
}

/// For the metrics.
fn outcome(result: &Result<Answer, SendError>) -> &'static str {
    match result {
        Ok(answer) => match answer.status {
            200..=299 => "ok",
            429 => "limited",
            500.. => "failed",
            _ => "refused",
        },
        Err(SendError::Unsent(_)) => "unsent",
        Err(SendError::TimedOut) => "timed_out",
        Err(SendError::Broken(_)) => "broken",
        Err(SendError::TooLong) => "too_long",
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, SendError> {
    let mut response = request.send().await.map_err(|error| lost(&error))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header("retry-after")
        .and_then(|text| text.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    if let Some(usage) = header("sforce-limit-info") {
        tracing::trace!(usage, "API usage");
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(SendError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body })
}

/// Name look-up, connecting and the TLS handshake come before the first byte of the request; only they prove that
/// nothing was sent.
fn lost(error: &reqwest::Error) -> SendError {
    if error.is_connect() || error.is_builder() {
        SendError::Unsent(chain(error))
    } else if error.is_timeout() {
        SendError::TimedOut
    } else {
        SendError::Broken(chain(error))
    }
}

/// The innermost cause, without the URL: a query in it would show row values.
fn chain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    if text.contains("://") { "request failed".to_owned() } else { text }
}
