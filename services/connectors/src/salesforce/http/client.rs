//! Requests with an access token.

use tokio::time::Instant;

use super::super::auth::{TokenError, Tokens};
use super::transport::{Answer, SendError, Transport};

/// A request below `/services/data/vNN.0/`.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: reqwest::Method,
    /// Relative path, e.g. `composite/sobjects`, without query.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
}

impl Request {
    pub(crate) fn new(method: reqwest::Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(reqwest::Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: String) -> Self {
        Self { body: Some(body), ..Self::new(reqwest::Method::POST, path) }
    }

    pub(crate) fn with_query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Bytes of path and query as sent.
    pub(crate) fn url_bytes(&self) -> usize {
        let base = "https://instance/services/data/v62.0/";
        reqwest::Url::parse_with_params(&format!("{base}{}", self.path), self.query.iter())
            .map_or(usize::MAX, |url| url.as_str().len())
    }
}

/// Why there is no answer to a request with a token.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing was applied: without a token nothing is sent, and what was sent before was answered with 401.
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Send(#[from] SendError),
}

pub(crate) struct Client {
    transport: Transport,
    tokens: Tokens,
    base_path: String,
}

impl Client {
    pub(crate) fn new(transport: Transport, tokens: Tokens, api_version: &str) -> Self {
        Self { transport, tokens, base_path: format!("/services/data/{api_version}/") }
    }

    /// Path of a subrequest, from the root of the instance.
    pub(crate) fn rooted(&self, path: &str) -> String {
        format!("{}{path}", self.base_path)
    }

    /// Sends, all in all until `deadline`. A 401 is answered by one refresh and one repetition; a second 401 is
    /// handed to the caller like any other answer.
    pub(crate) async fn send(&self, request: &Request, deadline: Instant) -> Result<Answer, ClientError> {
        let token = self.tokens.current(&self.transport, deadline).await?;
        let answer = self.send_with(request, &token, deadline).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.tokens.newer_than(token.generation, &self.transport, deadline).await?;
        Ok(self.send_with(request, &token, deadline).await?)
    }

    async fn send_with(
        &self,
        request: &Request,
        token: &super::super::auth::Token,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let mut url = token
            .instance_url
            .join(&self.rooted(&request.path))
            .map_err(|error| SendError::Unsent(format!("not a path: {error}")))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query.iter());
        }
        let mut builder = self
            .transport
            .request(request.method.clone(), url)
            .bearer_auth(token.access_token.reveal())
            .header("Accept", "application/json");
        if let Some(traceparent) = crate::trace::traceparent() {
            builder = builder.header("traceparent", traceparent);
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.header("Content-Type", "application/json").body(body.clone());
        }
        self.transport.send(builder, deadline).await
    }
}
