//! How the sandbox's refusals look on Salesforce's wire.

use super::error::ApiError;
use crate::message::Response;
use crate::vendor::{Refusal, Rejection};

/// `limit_info` is the header that answers of the API itself carry.
pub(super) fn response(refusal: &Refusal, limit_info: impl FnOnce() -> (&'static str, String)) -> Response {
    let error = match refusal {
        Refusal::UnreadableFault(text) => return ApiError::data("BAD_SANDBOX_FAULT", text.as_str()).response(),
        Refusal::BodyTooLarge => {
            return ApiError::new(413, "REQUEST_TOO_LARGE", "the body is too large or broke off").response();
        }
        Refusal::RateLimited { retry_after_s } => {
            let response = ApiError::new(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests.").response();
            return response.header("retry-after", retry_after_s.to_string());
        }
        Refusal::Rejected(rejection) => error(rejection),
        Refusal::ServerError { status, applied } => {
            // SERVER_UNAVAILABLE says that nothing was done.
            let code = if *status == 503 && !applied { "SERVER_UNAVAILABLE" } else { "UNKNOWN_EXCEPTION" };
            ApiError::new(*status, code, "An unexpected error occurred.")
        }
        Refusal::Unavailable => ApiError::new(503, "SERVER_UNAVAILABLE", "Server unavailable."),
        Refusal::OverQuota { daily: true } => over_quota("TotalRequests Limit exceeded."),
        Refusal::OverQuota { daily: false } => {
            over_quota("ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
        }
        Refusal::Locked => ApiError::data("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"),
    };
    let mut response = error.response();
    response.headers.push(limit_info());
    response
}

fn over_quota(text: &str) -> ApiError {
    ApiError::new(403, "REQUEST_LIMIT_EXCEEDED", text)
}

/// A refusal in a test's words.
pub(super) fn error(rejection: &Rejection) -> ApiError {
    let code = rejection.code.as_deref().unwrap_or("UNKNOWN_EXCEPTION");
    let mut error = ApiError::new(rejection.status, code, rejection.message.as_str());
    error.fields.clone_from(&rejection.fields);
    error
}
