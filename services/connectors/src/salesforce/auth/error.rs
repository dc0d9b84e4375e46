//! Why there is no access token. In every case the request that needed it was not sent.

use std::time::Duration;

use crate::budget::OutOfBudget;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// The login host refused the credentials: configuration, not to be tried again by itself.
    #[error("the login host refused the credentials: {error}: {description}")]
    Refused { error: String, description: String, http_status: u16 },
    #[error("the login host limits the rate of logins")]
    Limited { retry_after: Option<Duration> },
    #[error(transparent)]
    OutOfBudget(OutOfBudget),
    #[error("the login host could not be asked: {0}")]
    Unreachable(String),
    /// An answer without a usable token.
    #[error("the login host's answer cannot be used: {0}")]
    Unusable(String),
}

impl TokenError {
    /// Whether asking again at once would only get the same answer.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
