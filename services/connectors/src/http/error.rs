//! Why there is no answer.

use super::super::limits::MAX_RESPONSE_BYTES;
use crate::budget::OutOfBudget;

/// Why there is no answer, and with it whether the request may have arrived.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// No byte of the request was written: the rate budget had nothing for it.
    #[error(transparent)]
    OutOfBudget(#[from] OutOfBudget),
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
    #[error("answer of more than {MAX_RESPONSE_BYTES} bytes")]
    TooLong,
}

impl SendError {
    pub(super) fn of(error: &reqwest::Error) -> Self {
        // Name look-up, connecting and the TLS handshake come before the first byte of the request; only they prove
        // that nothing was sent.
        if error.is_connect() || error.is_builder() {
            Self::Unsent(innermost(error))
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(innermost(error))
        }
    }
}

/// The innermost cause, without the URL: a query in it would show row values.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    if text.contains("://") { "request failed".to_owned() } else { text }
}
