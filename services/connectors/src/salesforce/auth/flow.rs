//! One token request, by whichever of the three flows is configured.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::super::config::{Auth, Config};
use super::assertion::{assertion, default_audience};
use super::error::TokenError;
use crate::Secret;
use crate::budget::TimeLimit;
use crate::http::{Body, Method, Request, Response, SendError, Transport, Url, check_base_url, usual_pause};
use crate::limits::DEFAULT_PENALTY;

/// What the login host gave.
pub(crate) struct Grant {
    pub(crate) access_token: Secret,
    pub(crate) instance_url: Url,
    /// A new refresh token, where the organisation rotates them.
    pub(crate) refresh_token: Option<Secret>,
}

/// How to ask for a token.
pub(crate) struct Login {
    token_url: String,
    login_url: String,
    auth: Auth,
    /// The clock: Unix time of now, for the assertion's expiry.
    now: fn() -> Duration,
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: Secret,
    instance_url: String,
    refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
struct RefusalBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Login {
    pub(crate) fn new(config: &Config) -> Self {
        let login_url = config.login_url.trim_end_matches('/').to_owned();
        Self {
            token_url: format!("{login_url}/services/oauth2/token"),
            login_url,
            auth: config.auth.clone(),
            now: || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Asks once. `rotated` is the newest refresh token, if the organisation gave one since the start.
    pub(crate) async fn ask(
        &self,
        transport: &Transport,
        rotated: Option<&Secret>,
        limit: &mut TimeLimit,
    ) -> Result<Grant, TokenError> {
        let form = self.form(rotated)?;
        let url = Url::parse(&self.token_url).map_err(|error| TokenError::Unreachable(error.to_string()))?;
        let request = Request { body: Body::Form(form), ..Request::new(Method::POST, url) };
        let answer = transport.send(request, limit, pause).await.map_err(|error| match error {
            SendError::OutOfBudget(out) => TokenError::OutOfBudget(out),
            error => TokenError::Unreachable(error.to_string()),
        })?;
        read(answer.status, answer.retry_after, &answer.body)
    }

    fn form(&self, rotated: Option<&Secret>) -> Result<Vec<(&'static str, String)>, TokenError> {
        Ok(match &self.auth {
            Auth::ClientCredentials { client_id, client_secret } => vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", client_id.clone()),
                ("client_secret", client_secret.expose().to_owned()),
            ],
            Auth::RefreshToken { client_id, client_secret, refresh_token } => {
                let mut form = vec![
                    ("grant_type", "refresh_token".to_owned()),
                    ("refresh_token", rotated.unwrap_or(refresh_token).expose().to_owned()),
                    ("client_id", client_id.clone()),
                ];
                form.extend(client_secret.as_ref().map(|secret| ("client_secret", secret.expose().to_owned())));
                form
            }
            Auth::JwtBearer { client_id, username, private_key_pem, audience } => {
                let audience = audience.as_deref().unwrap_or_else(|| default_audience(&self.login_url));
                let now = i64::try_from((self.now)().as_secs()).unwrap_or(i64::MAX / 2);
                // The key was parsed when the configuration was checked; its error names no secret.
                let signed = assertion(client_id, username, audience, private_key_pem, now)
                    .map_err(|error| TokenError::Unusable(format!("assertion cannot be signed: {error}")))?;
                vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()), ("assertion", signed)]
            }
        })
    }
}

/// The login host's limit comes as a refusal of the login, too.
fn pause(answer: &Response) -> Option<Duration> {
    match read(answer.status, answer.retry_after, &answer.body) {
        Err(TokenError::Limited { retry_after }) => Some(retry_after.unwrap_or(DEFAULT_PENALTY)),
        _ => usual_pause(answer),
    }
}

fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Grant, TokenError> {
    if (200..300).contains(&status) {
        let answer: GrantBody =
            serde_json::from_slice(body).map_err(|_| TokenError::Unusable("no token in it".to_owned()))?;
        let instance_url = check_base_url(answer.instance_url.trim_end_matches('/'))
            .map_err(|problem| TokenError::Unusable(format!("instance_url {problem}")))?;
        return Ok(Grant { access_token: answer.access_token, instance_url, refresh_token: answer.refresh_token });
    }
    let refusal = serde_json::from_slice::<RefusalBody>(body).ok();
    let limited = refusal.as_ref().is_some_and(|refusal| {
        refusal.error.contains("rate_limit_exceeded") || refusal.error_description.contains("rate_limit_exceeded")
    });
    match refusal {
        _ if limited || status == 429 => Err(TokenError::Limited { retry_after }),
        Some(refusal) if (400..500).contains(&status) => Err(TokenError::Refused {
            error: refusal.error,
            description: refusal.error_description,
            http_status: status,
        }),
        None if matches!(status, 400 | 401 | 403 | 404) => Err(TokenError::Refused {
            error: format!("HTTP {status}"),
            description: "answer without a reason".to_owned(),
            http_status: status,
        }),
        _ => Err(TokenError::Unreachable(format!("HTTP {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        let refused = br#"{"error":"invalid_grant","error_description":"inactive user"}"#;
        assert!(matches!(read(400, None, refused), Err(TokenError::Refused { error, .. }) if error == "invalid_grant"));
        let limited = br#"{"error":"invalid_grant","error_description":"rate_limit_exceeded"}"#;
        assert!(matches!(read(400, None, limited), Err(TokenError::Limited { .. })));
        assert!(matches!(read(429, None, b""), Err(TokenError::Limited { .. })));
        assert!(matches!(read(503, None, b"<html>away</html>"), Err(TokenError::Unreachable(_))));
        assert!(matches!(read(401, None, b"<html>"), Err(TokenError::Refused { .. })));
        assert!(matches!(read(200, None, b"<html>"), Err(TokenError::Unusable(_))));
    }

    #[test]
    fn a_token_is_never_sent_to_a_plain_host() {
        let answer = br#"{"access_token":"t","instance_url":"http://evil.example"}"#;
        assert!(matches!(read(200, None, answer), Err(TokenError::Unusable(_))));
    }
}
