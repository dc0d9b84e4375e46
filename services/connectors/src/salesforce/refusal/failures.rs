//! From every way in which a request can end badly to an [`UpstreamError`].

use std::time::Duration;

use upwrite_events::{ErrorClass, Failure, MutationId, Op, Outcome};

use super::super::auth::TokenError;
use super::super::http::{Answer, ClientError, SendError};
use super::super::limits::{CONCURRENCY_PENALTY, DAILY_PENALTY, DEFAULT_PENALTY};
use super::super::value::{Kind, Unfit};
use super::classify::{About, Classified, classify};
use super::rules::rule;
use super::vendor_error::VendorError;
use super::words::word;
use crate::{RetryRule, UpstreamError};

/// A refusal that came with an answer of `status`. Of several errors the first decides that is not collateral.
pub(crate) fn of_errors(about: &About<'_>, status: u16, errors: &[VendorError]) -> UpstreamError {
    let nothing = VendorError::default();
    let culprit = errors.iter().find(|error| {
        error.code.as_deref().is_none_or(|code| super::codes::class_of_code(code) != Some(ErrorClass::Collateral))
    });
    let error = culprit.or(errors.first()).unwrap_or(&nothing);
    let classified = classify(about, status, error);
    finish(about, Some(status), &classified, error)
}

/// An answer that is no success, as a whole. The second value: how long the whole source is to be left alone.
pub(crate) fn of_answer(about: &About<'_>, answer: &Answer) -> (UpstreamError, Option<Duration>) {
    let mut error = of_errors(about, answer.status, &VendorError::all_in(&answer.body));
    let pause = match error.failure.class {
        ErrorClass::RateLimited => Some(answer.retry_after.or(after(error.retry)).unwrap_or(DEFAULT_PENALTY)),
        _ => answer.retry_after,
    };
    if let Some(pause) = pause {
        rest(&mut error, pause);
    }
    (error, pause)
}

/// Not before `pause`, if ever again.
fn rest(error: &mut UpstreamError, pause: Duration) {
    if matches!(error.retry, RetryRule::Backoff | RetryRule::After(_)) {
        error.retry = RetryRule::After(pause);
        if error.failure.outcome != Outcome::Unknown {
            error.failure.hint = Some(format!("Retry after {} s.", pause.as_secs().max(1)));
        }
    }
}

/// A request without an answer.
pub(crate) fn of_missing_answer(about: &About<'_>, error: &ClientError) -> (UpstreamError, Option<Duration>) {
    let (class, pause) = match error {
        ClientError::Token(TokenError::Refused { .. }) => (ErrorClass::Auth, None),
        ClientError::Token(TokenError::Limited { retry_after }) => {
            (ErrorClass::RateLimited, Some(retry_after.unwrap_or(DEFAULT_PENALTY)))
        }
        ClientError::Token(_) | ClientError::Send(SendError::Unsent(_)) => (ErrorClass::Unavailable, None),
        ClientError::Send(SendError::TimedOut) => (ErrorClass::Timeout, None),
        ClientError::Send(SendError::Broken(_) | SendError::TooLong) => (ErrorClass::ServerError, None),
    };
    let vendor = VendorError { message: error.to_string(), ..VendorError::default() };
    let status = match error {
        ClientError::Token(TokenError::Refused { http_status, .. }) => Some(*http_status),
        _ => None,
    };
    let classified = Classified { class, column: None, nested: None };
    let mut error = finish(about, status, &classified, &vendor);
    if let Some(pause) = pause {
        rest(&mut error, pause);
    }
    (error, pause)
}

/// A row of which a successful answer says nothing that can be read.
pub(crate) fn unaccounted(about: &About<'_>, status: u16, what: &str) -> UpstreamError {
    let vendor = VendorError { message: what.to_owned(), ..VendorError::default() };
    let classified = Classified { class: ErrorClass::ServerError, column: None, nested: None };
    finish(about, Some(status), &classified, &vendor)
}

/// A value that was not even sent.
pub(crate) fn local(about: &About<'_>, column: Option<&str>, unfit: &Unfit) -> UpstreamError {
    let mut failure = Failure::new(unfit.class, Outcome::NotApplied, unfit.sqlstate, unfit.reason.clone());
    place(&mut failure, about);
    failure.column = column.map(str::to_owned);
    failure.detail = Some(tail(about, &failure, None));
    UpstreamError { failure, retry: RetryRule::Never }
}

fn finish(about: &About<'_>, status: Option<u16>, classified: &Classified<'_>, error: &VendorError) -> UpstreamError {
    let class = if is_own_key(about, classified) { ErrorClass::ServerError } else { classified.class };
    let rule = rule(class);
    let mut failure = Failure::new(class, rule.outcome, rule.sqlstate, "");
    place(&mut failure, about);
    failure.column = classified.column.map(|column| column.name.clone());
    failure.upstream_code = error.code.clone();
    failure.http_status = status;
    let sentence = word(&mut failure, about, classified, error);
    let is_date = classified
        .column
        .is_some_and(|column| matches!(Kind::of_column(column), Kind::Date | Kind::DateTime | Kind::Time));
    if classified.class == ErrorClass::BadValue && (is_date || error.code.as_deref() == Some("INVALID_DATE_FORMAT")) {
        failure.sqlstate = "22007".to_owned();
    }
    if rule.outcome == Outcome::Unknown {
        unknown(&mut failure, about);
    }
    let said = (!error.message.is_empty() && error.message != failure.message)
        .then(|| format!("Upstream says: {}", error.message));
    let tail = tail(about, &failure, classified.nested.as_deref());
    failure.detail = Some([sentence, said, Some(tail)].into_iter().flatten().collect::<Vec<_>>().join(" "));
    let mut error_of_row = UpstreamError { failure, retry: rule.retry };
    if classified.class == ErrorClass::RateLimited {
        rest(&mut error_of_row, penalty(error));
    }
    error_of_row
}

/// A duplicate of the key that Upwrite made for this very row. Nobody else has that key: an earlier attempt was applied
/// after all, whatever was said of it then. It must be looked up.
fn is_own_key(about: &About<'_>, classified: &Classified<'_>) -> bool {
    let key = about.table.and_then(|table| table.idempotency_column.as_deref());
    about.op == Some(Op::Insert)
        && classified.class == ErrorClass::Unique
        && key.is_some()
        && classified.column.map(|column| column.name.as_str()) == key
}

/// What cannot be known, said to whoever asked for a write; to a read it is just an error.
fn unknown(failure: &mut Failure, about: &About<'_>) {
    if about.op.is_none() {
        failure.outcome = Outcome::NotApplied;
        failure.sqlstate = "HV000".to_owned();
        return;
    }
    if let Some(mutation) = mutation(about) {
        failure.message = format!("outcome of mutation {mutation} is not known yet");
        failure.hint = Some(format!("SELECT * FROM upwrite.mutations WHERE id = '{mutation}'"));
    } else {
        failure.message = "outcome of this change is not known yet".to_owned();
    }
}

fn place(failure: &mut Failure, about: &About<'_>) {
    failure.schema = about.table.map(|table| table.name.source.clone());
    failure.table = about.table.map(|table| table.name.table.clone());
}

/// The mutation whose row this is.
fn mutation(about: &About<'_>) -> Option<MutationId> {
    MutationId::of_idempotency_key(&about.row?.idempotency_key)
}

/// For machines, at the end of the detail.
fn tail(about: &About<'_>, failure: &Failure, nested: Option<&str>) -> String {
    let mut tail = format!("[upstream={}", about.source);
    let mut add = |name: &str, value: &str| tail.push_str(&format!(" {name}={value}"));
    if let Some(code) = &failure.upstream_code {
        add("code", code);
    }
    if let Some(nested) = nested {
        add("nested", nested);
    }
    if let Some(status) = failure.http_status {
        add("http", &status.to_string());
    }
    if let Some(mutation) = mutation(about) {
        add("mutation", &mutation.to_string());
    }
    let outcome = match failure.outcome {
        Outcome::NotApplied => "not_applied",
        Outcome::Applied => "applied",
        Outcome::Unknown => "unknown",
    };
    add("outcome", outcome);
    tail.push(']');
    tail
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
