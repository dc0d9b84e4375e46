//! Requests with an access token.

use super::auth::{Token, TokenError, Tokens};
use super::refusal::pause;
use crate::budget::TimeLimit;
use crate::http::{Body, Method, Request, Response, SendError, Transport, Url};

/// A request below `/services/data/vNN.0/`.
#[derive(Debug, Clone)]
pub(crate) struct RestRequest {
    pub(crate) method: Method,
    /// Relative path, e.g. `composite/sobjects`, without query.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
}

impl RestRequest {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: String) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
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
        Url::parse_with_params(&format!("{base}{}", self.path), self.query.iter())
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

    /// Sends, all in all within `limit`. A 401 is answered by one refresh and one repetition; a second 401 is
    /// handed to the caller like any other answer.
    pub(crate) async fn send(&self, request: &RestRequest, limit: &mut TimeLimit) -> Result<Response, ClientError> {
        let token = self.tokens.current(&self.transport, limit).await?;
        let answer = self.send_with(request, &token, limit).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.tokens.newer_than(token.generation, &self.transport, limit).await?;
        Ok(self.send_with(request, &token, limit).await?)
    }

    async fn send_with(
        &self,
        request: &RestRequest,
        token: &Token,
        limit: &mut TimeLimit,
    ) -> Result<Response, SendError> {
        let mut url = token
            .instance_url
            .join(&self.rooted(&request.path))
            .map_err(|error| SendError::Unsent(format!("not a path: {error}")))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query.iter());
        }
        let request = Request {
            bearer: Some(token.access_token.clone()),
            headers: request.headers.clone(),
            body: request.body.clone().map_or(Body::None, Body::Json),
            ..Request::new(request.method.clone(), url)
        };
        self.transport.send(request, limit, pause).await
    }
}
