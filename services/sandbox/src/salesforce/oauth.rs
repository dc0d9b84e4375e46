//! The token endpoint and the access tokens it gave out.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::options::OrgOptions;
use crate::journal::unix_ms;

/// Tokens remembered; when more are given out, the one used longest ago is forgotten.
const MOST_TOKENS: usize = 10_000;

/// Audiences that the vendor accepts in an assertion.
const AUDIENCES: [&str; 2] = ["https://login.salesforce.com", "https://test.salesforce.com"];

#[derive(Debug)]
pub(crate) struct Auth {
    options: OrgOptions,
    org_id: String,
    user_id: String,
    /// Token -> when it was last used.
    tokens: HashMap<String, OffsetDateTime>,
    given: u64,
}

/// A refusal of the token endpoint: HTTP status, `error`, `error_description`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenRefusal(pub(crate) u16, &'static str, &'static str);

impl TokenRefusal {
    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.1, "error_description": self.2 })
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
}

impl Auth {
    pub(crate) fn new(options: &OrgOptions, org_id: &str, user_id: &str) -> Self {
        Self {
            options: options.clone(),
            org_id: org_id.to_owned(),
            user_id: user_id.to_owned(),
            tokens: HashMap::new(),
            given: 0,
        }
    }

    /// Answers a form-encoded token request. `own_url` is what the caller reached the sandbox by.
    pub(crate) fn grant(
        &mut self,
        form: &[(String, String)],
        authorization: Option<&str>,
        own_url: &str,
        now: OffsetDateTime,
    ) -> Result<Value, TokenRefusal> {
        let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let basic = authorization.and_then(basic_pair);
        let client = basic.as_ref().map(|(id, _)| id.as_str()).or(field("client_id"));
        let secret = basic.as_ref().map(|(_, secret)| secret.as_str()).or(field("client_secret"));
        match field("grant_type") {
            Some("refresh_token") => {
                self.check_client(client, secret, true)?;
                if field("refresh_token") != Some(self.options.refresh_token.as_str()) {
                    return Err(TokenRefusal(400, "invalid_grant", "expired access/refresh token"));
                }
            }
            Some("client_credentials") => self.check_client(client, secret, false)?,
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
                self.check_assertion(field("assertion").unwrap_or_default(), own_url)?;
            }
            _ => {
                return Err(TokenRefusal(400, "unsupported_grant_type", "grant type not supported"));
            }
        }
        let token = self.issue(now);
        Ok(json!({
            "access_token": token,
            "scope": "api refresh_token",
            "instance_url": own_url,
            "id": format!("{own_url}/id/{}/{}", self.org_id, self.user_id),
            "token_type": "Bearer",
            "issued_at": unix_ms(now).to_string(),
            "signature": STANDARD.encode(format!("signature-{}", self.given)),
        }))
    }

    fn check_client(&self, id: Option<&str>, secret: Option<&str>, secret_optional: bool) -> Result<(), TokenRefusal> {
        let right_secret = match secret {
            None => secret_optional,
            Some(given) => given == self.options.client_secret,
        };
        if id == Some(self.options.client_id.as_str()) && right_secret {
            return Ok(());
        }
        Err(TokenRefusal(400, "invalid_client", "invalid client credentials"))
    }

    /// RS256, `iss` our consumer key, `sub` our user, `aud` the vendor's login host or this one, not expired.
    fn check_assertion(&self, assertion: &str, own_url: &str) -> Result<(), TokenRefusal> {
        let bad = |text| TokenRefusal(400, "invalid_grant", text);
        let pem = self.options.jwt_public_key_pem.as_deref();
        let pem = pem.ok_or_else(|| bad("user hasn't approved this consumer"))?;
        let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| bad("invalid assertion"))?;
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_audience(&[AUDIENCES[0], AUDIENCES[1], own_url]);
        let claims = decode::<Claims>(assertion, &key, &wanted).map_err(|_| bad("invalid assertion"))?.claims;
        if claims.iss != self.options.client_id {
            return Err(TokenRefusal(400, "invalid_client_id", "client identifier invalid"));
        }
        if claims.sub != self.options.username {
            return Err(bad("user hasn't approved this consumer"));
        }
        Ok(())
    }

    /// A new access token.
    pub(crate) fn issue(&mut self, now: OffsetDateTime) -> String {
        self.given += 1;
        if self.tokens.len() >= MOST_TOKENS
            && let Some(oldest) = self.tokens.iter().min_by_key(|(_, used)| **used).map(|(t, _)| t.clone())
        {
            self.tokens.remove(&oldest);
        }
        let token = format!("{}!{}", &self.org_id[..15], Uuid::new_v4().simple());
        self.tokens.insert(token.clone(), now);
        token
    }

    /// Whether an `Authorization` header holds a token that still counts; using it renews it.
    pub(crate) fn admits(&mut self, authorization: Option<&str>, now: OffsetDateTime) -> bool {
        let token = authorization.and_then(|a| a.strip_prefix("Bearer ").or_else(|| a.strip_prefix("OAuth ")));
        let Some(used) = token.and_then(|t| self.tokens.get_mut(t.trim())) else {
            return false;
        };
        if now - *used > self.options.token_lifetime {
            return false;
        }
        *used = now;
        true
    }

    pub(crate) fn expire_all(&mut self) {
        self.tokens.clear();
    }

    /// The identity document behind a token answer's `id`.
    pub(crate) fn identity(&self, own_url: &str) -> Value {
        json!({
            "id": format!("{own_url}/id/{}/{}", self.org_id, self.user_id),
            "user_id": self.user_id,
            "organization_id": self.org_id,
            "username": self.options.username,
            "display_name": "Integration User",
            "email": self.options.username,
            "active": true,
            "urls": { "rest": format!("{own_url}/services/data/v{{version}}/") },
        })
    }
}

fn basic_pair(authorization: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(authorization.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn tokens_slide_and_expire() {
        let options = OrgOptions::default();
        let mut auth = Auth::new(&options, "00DA000000000001AAA", "005A000000000001AAA");
        let start = OffsetDateTime::UNIX_EPOCH;
        let grant = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &options.client_id),
            ("client_secret", &options.client_secret),
        ]);
        let answer = auth.grant(&grant, None, "http://here", start).unwrap();
        let header = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let lifetime = options.token_lifetime;
        assert!(auth.admits(Some(&header), start + lifetime));
        assert!(auth.admits(Some(&header), start + lifetime + lifetime));
        assert!(!auth.admits(Some(&header), start + 4 * lifetime));
        auth.expire_all();
        assert!(!auth.admits(Some(&header), start + lifetime));
    }

    #[test]
    fn wrong_credentials_are_refused_in_the_vendors_words() {
        let mut auth = Auth::new(&OrgOptions::default(), "00DA000000000001AAA", "005A000000000001AAA");
        let wrong = [
            (form(&[("grant_type", "client_credentials"), ("client_id", "x")]), "invalid_client"),
            (form(&[("grant_type", "password")]), "unsupported_grant_type"),
            (
                form(&[("grant_type", "refresh_token"), ("client_id", "sandbox-client"), ("refresh_token", "x")]),
                "invalid_grant",
            ),
        ];
        for (grant, error) in wrong {
            let refusal = auth.grant(&grant, None, "http://here", OffsetDateTime::UNIX_EPOCH).unwrap_err();
            assert_eq!(refusal.body()["error"], error);
        }
    }
}
