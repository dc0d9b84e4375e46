//! What is sent and what comes back.

use std::time::Duration;

use reqwest::{Method, Url};
use upwrite_settings::Secret;

/// A request with everything that goes to the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    /// For `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub enum Body {
    None,
    /// JSON text.
    Json(String),
    Form(Vec<(&'static str, String)>),
}

impl Request {
    /// Asks for JSON, sends nothing but that.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, bearer: None, headers: Vec::new(), body: Body::None }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The header in seconds, at most an hour.
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
