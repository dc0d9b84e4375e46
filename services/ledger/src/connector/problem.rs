//! `application/problem+json`: from Ledger's slugs to classes.

use serde::Deserialize;
use upwrite_connectors::UpstreamError;
use upwrite_connectors::http::{Response, usual_pause};
use upwrite_connectors::outcome::{About, Refusal, after_pause, refused};
use upwrite_events::ErrorClass;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    /// `https://ledger.invalid/problems/<slug>`.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
    field: Option<String>,
    /// Characters that fit.
    limit: Option<u32>,
}

/// Slug → class.
const SLUGS: [(&str, ErrorClass); 11] = [
    ("missing-field", ErrorClass::NotNull),
    ("too-long", ErrorClass::TooLong),
    ("bad-value", ErrorClass::BadValue),
    ("not-unique", ErrorClass::Unique),
    // The key was used by this very row, with other values: something was applied earlier, and nobody knows what.
    ("key-reused", ErrorClass::ServerError),
    ("not-found", ErrorClass::NotFound),
    ("read-only-field", ErrorClass::ReadOnly),
    ("unauthorised", ErrorClass::Auth),
    ("forbidden", ErrorClass::Permission),
    ("slow-down", ErrorClass::RateLimited),
    ("unavailable", ErrorClass::Unavailable),
];

/// An answer that is no success.
pub(super) fn of_response(about: &About<'_>, response: &Response) -> UpstreamError {
    let problem: Problem = serde_json::from_slice(&response.body).unwrap_or_default();
    // Postgres has no text with U+0000 in it.
    let message = if problem.detail.is_empty() { &problem.title } else { &problem.detail }.replace('\0', "");
    let slug = problem.kind.rsplit('/').next().unwrap_or_default();
    let known = SLUGS.iter().find(|(name, _)| *name == slug);
    let class = match known.map_or_else(|| class_of_status(response.status), |(_, class)| *class) {
        ErrorClass::NotFound if about.row.is_none() => ErrorClass::UnknownTable,
        class => class,
    };
    let refusal = Refusal {
        http_status: Some(response.status),
        code: known.map(|(slug, _)| *slug),
        column: problem.field.as_deref().and_then(|field| about.field(field)),
        missing: problem.field.as_deref().into_iter().collect(),
        max_length: problem.limit,
        ..Refusal::new(class, &message)
    };
    let mut error = refused(about, &refusal);
    if let Some(pause) = usual_pause(response) {
        after_pause(&mut error, pause);
    }
    error
}

/// Of an answer that is none of Ledger's own: something between here and there gave it.
fn class_of_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Auth,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 => ErrorClass::Timeout,
        429 => ErrorClass::RateLimited,
        400..=499 => ErrorClass::Bug,
        _ => ErrorClass::ServerError,
    }
}
