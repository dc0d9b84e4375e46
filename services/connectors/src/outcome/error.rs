//! From a refusal to an [`UpstreamError`].

use std::time::Duration;

use upwrite_events::{ColumnSpec, ErrorClass, Failure, MutationId, Op, Outcome};

use super::words::word;
use super::{About, rule};
use crate::http::SendError;
use crate::limits::DEFAULT_PENALTY;
use crate::value::Unfit;
use crate::{RetryRule, UpstreamError};

/// What upstream said, once the vendor's folder has read it.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    pub class: ErrorClass,
    pub http_status: Option<u16>,
    /// The vendor's own code.
    pub code: Option<&'a str>,
    /// In the vendor's words; may be empty.
    pub message: &'a str,
    pub column: Option<&'a ColumnSpec>,
    /// Of [`ErrorClass::NotNull`]: all fields that upstream misses, by its names.
    pub missing: Vec<&'a str>,
    /// Of [`ErrorClass::Unique`]: the record that has the value already.
    pub other_record: Option<&'a str>,
    /// Of [`ErrorClass::TooLong`]: characters that fit.
    pub max_length: Option<u32>,
    /// Of [`ErrorClass::BadValue`]: the value is a date, an instant or a time of day.
    pub is_datetime: bool,
    /// A code that the message quotes.
    pub nested: Option<&'a str>,
    /// Of [`ErrorClass::RateLimited`]: how long to leave upstream alone where it does not say.
    pub penalty: Duration,
}

impl<'a> Refusal<'a> {
    /// With nothing known but its class and the vendor's words.
    pub fn new(class: ErrorClass, message: &'a str) -> Self {
        Self {
            class,
            http_status: None,
            code: None,
            message,
            column: None,
            missing: Vec::new(),
            other_record: None,
            max_length: None,
            is_datetime: false,
            nested: None,
            penalty: DEFAULT_PENALTY,
        }
    }
}

/// A refusal as the applier and the client read it.
pub fn refused(about: &About<'_>, refusal: &Refusal<'_>) -> UpstreamError {
    let class = if is_own_key(about, refusal) { ErrorClass::ServerError } else { refusal.class };
    let rule = rule(class);
    let mut failure = Failure::new(class, rule.outcome, rule.sqlstate, "");
    place(&mut failure, about);
    failure.column = refusal.column.map(|column| column.name.clone());
    failure.upstream_code = refusal.code.map(str::to_owned);
    failure.http_status = refusal.http_status;
    let sentence = word(&mut failure, about, refusal);
    if refusal.class == ErrorClass::BadValue && refusal.is_datetime {
        failure.sqlstate = "22007".to_owned();
    }
    if rule.outcome == Outcome::Unknown {
        unknown(&mut failure, about);
    }
    let quoted = (!refusal.message.is_empty() && refusal.message != failure.message)
        .then(|| format!("Upstream says: {}", refusal.message));
    let tail = tail(about, &failure, refusal.nested);
    failure.detail = Some([sentence, quoted, Some(tail)].into_iter().flatten().collect::<Vec<_>>().join(" "));
    let mut error = UpstreamError { failure, retry: rule.retry };
    if refusal.class == ErrorClass::RateLimited {
        after_pause(&mut error, refusal.penalty);
    }
    error
}

/// A request without an answer. What it was about is not applied if no byte of it was written; else nobody knows.
pub fn unanswered(about: &About<'_>, error: &SendError) -> UpstreamError {
    let (class, penalty) = match error {
        SendError::OutOfBudget(out) => (ErrorClass::RateLimited, out.wait),
        SendError::Unsent(_) => (ErrorClass::Unavailable, DEFAULT_PENALTY),
        SendError::TimedOut => (ErrorClass::Timeout, DEFAULT_PENALTY),
        SendError::Broken(_) | SendError::TooLong => (ErrorClass::ServerError, DEFAULT_PENALTY),
    };
    refused(about, &Refusal { penalty, ..Refusal::new(class, &error.to_string()) })
}

/// A row of which a successful answer says nothing that can be read.
pub fn unaccounted(about: &About<'_>, http_status: u16, what: &str) -> UpstreamError {
    let refusal = Refusal { http_status: Some(http_status), ..Refusal::new(ErrorClass::ServerError, what) };
    refused(about, &refusal)
}

/// A value that was not even sent.
pub fn local(about: &About<'_>, column: Option<&str>, unfit: &Unfit) -> UpstreamError {
    let mut failure = Failure::new(unfit.class, Outcome::NotApplied, unfit.sqlstate, unfit.reason.clone());
    place(&mut failure, about);
    failure.column = column.map(str::to_owned);
    failure.detail = Some(tail(about, &failure, None));
    UpstreamError { failure, retry: RetryRule::Never }
}

/// Not before `pause`, if ever again.
pub fn after_pause(error: &mut UpstreamError, pause: Duration) {
    if matches!(error.retry, RetryRule::Backoff | RetryRule::After(_)) {
        error.retry = RetryRule::After(pause);
        if error.failure.outcome != Outcome::Unknown {
            error.failure.hint = Some(format!("Retry after {} s.", pause.as_secs().max(1)));
        }
    }
}

/// A duplicate of the key that Upwrite made for this very row. Nobody else has that key: an earlier attempt was applied
/// after all, whatever upstream said of it. It must be looked up.
fn is_own_key(about: &About<'_>, refusal: &Refusal<'_>) -> bool {
    let key = about.table.and_then(|table| table.idempotency_column.as_deref());
    about.op == Some(Op::Insert)
        && refusal.class == ErrorClass::Unique
        && key.is_some()
        && refusal.column.map(|column| column.name.as_str()) == key
}

/// What cannot be known, as the client of a write reads it; to a read it is just an error.
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
