//! The signed assertion of the JWT bearer flow.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::super::limits::ASSERTION_SECONDS;
use crate::Secret;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

/// A fresh RS256 assertion that `username` lets the app act. `now` in Unix seconds.
pub(crate) fn assertion(
    client_id: &str,
    username: &str,
    audience: &str,
    key: &Secret,
    now: i64,
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims { iss: client_id, sub: username, aud: audience, exp: now + ASSERTION_SECONDS };
    let key = EncodingKey::from_rsa_pem(key.expose().as_bytes())?;
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
}

/// `aud` where none is configured: the test login host for a `login_url` that belongs to a vendor's sandbox.
pub(crate) fn default_audience(login_url: &str) -> &'static str {
    if login_url.contains("://test.salesforce.com") || login_url.contains(".sandbox.my.salesforce.com") {
        "https://test.salesforce.com"
    } else {
        "https://login.salesforce.com"
    }
}
