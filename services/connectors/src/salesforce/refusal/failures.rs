//! From every way in which a request to the vendor can end badly to an [`UpstreamError`].

use std::time::Duration;

use upwrite_events::ErrorClass;

use super::super::auth::TokenError;
use super::super::client::ClientError;
use super::super::limits::{CONCURRENCY_PENALTY, DAILY_PENALTY};
use super::super::value::Kind;
use super::classify::{Classified, classify};
use super::patterns::{bracketed, duplicate, max_length};
use super::vendor_error::VendorError;
use crate::http::Response;
use crate::limits::DEFAULT_PENALTY;
use crate::outcome::{About, Refusal, after_pause, refused, unanswered};
use crate::{RetryRule, UpstreamError};

/// A refusal that came with an answer of `status`. Of several errors the first decides that is not collateral.
pub(crate) fn of_errors(about: &About<'_>, status: u16, errors: &[VendorError]) -> UpstreamError {
    let nothing = VendorError::default();
    let culprit = errors.iter().find(|error| {
        error.code.as_deref().is_none_or(|code| super::codes::class_of_code(code) != Some(ErrorClass::Collateral))
    });
    let error = culprit.or(errors.first()).unwrap_or(&nothing);
    let classified = classify(about, status, error);
    refused(about, &refusal(status, &classified, error))
}

fn refusal<'a>(status: u16, classified: &'a Classified<'a>, error: &'a VendorError) -> Refusal<'a> {
    let named: Vec<&str> = error.fields.iter().map(String::as_str).collect();
    let is_datetime = classified
        .column
        .is_some_and(|column| matches!(Kind::of_column(column), Kind::Date | Kind::DateTime | Kind::Time));
    Refusal {
        http_status: Some(status),
        code: error.code.as_deref(),
        column: classified.column,
        missing: if named.is_empty() { bracketed(&error.message) } else { named },
        other_record: error.duplicate_of.as_deref().or(duplicate(&error.message).1),
        max_length: max_length(&error.message),
        is_datetime: is_datetime || error.code.as_deref() == Some("INVALID_DATE_FORMAT"),
        nested: classified.nested.as_deref(),
        penalty: penalty(error),
        ..Refusal::new(classified.class, &error.message)
    }
}

/// An answer that is no success, as a whole. The second value: how long the whole source is to be left alone.
pub(crate) fn of_answer(about: &About<'_>, answer: &Response) -> (UpstreamError, Option<Duration>) {
    let mut error = of_errors(about, answer.status, &VendorError::all_in(&answer.body));
    let pause = match error.failure.class {
        ErrorClass::RateLimited => Some(answer.retry_after.or(after(error.retry)).unwrap_or(DEFAULT_PENALTY)),
        _ => answer.retry_after,
    };
    if let Some(pause) = pause {
        after_pause(&mut error, pause);
    }
    (error, pause)
}

/// How long the whole source is to be left alone after an answer: the vendor limits by 403 and a code, too.
pub(crate) fn pause(answer: &Response) -> Option<Duration> {
    if answer.is_success() { None } else { of_answer(&About::source(""), answer).1 }
}

/// A request without an answer.
pub(crate) fn of_missing_answer(about: &About<'_>, error: &ClientError) -> UpstreamError {
    let (class, http_status, penalty) = match error {
        ClientError::Send(error) => return unanswered(about, error),
        ClientError::Token(TokenError::OutOfBudget(out)) => (ErrorClass::RateLimited, None, Some(out.wait)),
        ClientError::Token(TokenError::Refused { http_status, .. }) => (ErrorClass::Auth, Some(*http_status), None),
        ClientError::Token(TokenError::Limited { retry_after }) => (ErrorClass::RateLimited, None, *retry_after),
        ClientError::Token(_) => (ErrorClass::Unavailable, None, None),
    };
    let message = error.to_string();
    let refusal = Refusal { http_status, penalty: penalty.unwrap_or(DEFAULT_PENALTY), ..Refusal::new(class, &message) };
    refused(about, &refusal)
}

fn penalty(error: &VendorError) -> Duration {
    match error.code.as_deref() {
        Some("REQUEST_LIMIT_EXCEEDED") if error.message.contains("Concurrent") => CONCURRENCY_PENALTY,
        Some("REQUEST_LIMIT_EXCEEDED") => DAILY_PENALTY,
        _ => DEFAULT_PENALTY,
    }
}

fn after(retry: RetryRule) -> Option<Duration> {
    match retry {
        RetryRule::After(pause) => Some(pause),
        _ => None,
    }
}
