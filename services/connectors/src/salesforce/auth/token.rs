//! The current access token, refreshed by one caller for all.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::limits::REFUSED_LOGIN_REST;
use super::error::TokenError;
use super::flow::Login;
use crate::Secret;
use crate::budget::TimeLimit;
use crate::http::Transport;

/// An access token and where it is good.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) access_token: Secret,
    pub(crate) instance_url: crate::http::Url,
    /// Counts tokens; names the one that a 401 was about.
    pub(crate) generation: u64,
}

/// The token cache. Single flight by its mutex: who waited for it finds what the holder brought, token or failure.
pub(crate) struct Tokens {
    login: Login,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Token>>,
    generation: u64,
    refresh_token: Option<Secret>,
    failed: Option<(Instant, TokenError)>,
}

impl Tokens {
    pub(crate) fn new(login: Login) -> Self {
        Self { login, state: Mutex::default() }
    }

    /// The current token; the first caller gets it from the login host.
    pub(crate) async fn current(&self, transport: &Transport, limit: &mut TimeLimit) -> Result<Arc<Token>, TokenError> {
        self.newer_than(0, transport, limit).await
    }

    /// A token newer than the one of `generation`, which upstream refused.
    pub(crate) async fn newer_than(
        &self,
        generation: u64,
        transport: &Transport,
        limit: &mut TimeLimit,
    ) -> Result<Arc<Token>, TokenError> {
        let asked_at = Instant::now();
        let waiting = tokio::time::timeout_at(limit.until(), self.state.lock()).await;
        let mut state = waiting.map_err(|_| TokenError::Unreachable("no answer in time".to_owned()))?;
        if let Some(token) = state.current.as_ref().filter(|token| token.generation > generation) {
            return Ok(Arc::clone(token));
        }
        if let Some((at, error)) = &state.failed {
            let rests = error.is_refusal() && at.elapsed() < REFUSED_LOGIN_REST;
            if *at >= asked_at || rests {
                return Err(error.clone());
            }
        }
        let asked = self.login.ask(transport, state.refresh_token.as_ref(), limit).await;
        match asked {
            Ok(grant) => {
                if grant.refresh_token.is_some() {
                    tracing::warn!("the login host rotates refresh tokens; the new one is kept in memory only");
                    state.refresh_token = grant.refresh_token;
                }
                state.generation += 1;
                state.failed = None;
                let token = Arc::new(Token {
                    access_token: grant.access_token,
                    instance_url: grant.instance_url,
                    generation: state.generation,
                });
                state.current = Some(Arc::clone(&token));
                tracing::debug!(generation = token.generation, "got an access token");
                Ok(token)
            }
            Err(error) => {
                tracing::warn!(%error, "no access token");
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
