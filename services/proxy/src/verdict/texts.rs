//! The words. Fields as drivers and ORMs read them; a line for machines at the end of the detail.

use upwrite_events::{Failure, MutationId};

use super::status::{About, Cause};
use crate::error::PgError;

/// How many applied keys a text names.
const NAMED_KEYS: usize = 20;

/// Upstream refused it: nothing was applied.
pub(super) fn rejected(failure: &Failure, about: &About) -> PgError {
    let plausible = failure.sqlstate.len() == 5 && failure.sqlstate.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let sqlstate = if plausible { failure.sqlstate.as_str() } else { "XX000" };
    let mut error = PgError::error(sqlstate, failure.message.clone());
    error.detail = Some(with_tail(failure.detail.as_deref(), Some(failure), about, "not_applied"));
    error.hint.clone_from(&failure.hint);
    error.schema.clone_from(&failure.schema);
    error.table.clone_from(&failure.table);
    error.column.clone_from(&failure.column);
    error.constraint.clone_from(&failure.constraint);
    error
}

/// Some rows were applied. Never the failing row's own SQLSTATE: a blind retry would apply the others twice.
pub(super) fn partial(keys: &[&str], rows: usize, failure: Option<&Failure>, about: &About) -> PgError {
    let error =
        PgError::error("40003", format!("{} of {rows} rows of mutation {} were applied", keys.len(), about.mutation));
    let more = keys.len().saturating_sub(NAMED_KEYS);
    let mut detail = format!("Applied: {}", keys.iter().take(NAMED_KEYS).copied().collect::<Vec<_>>().join(", "));
    if more > 0 {
        detail.push_str(&format!(" and {more} more"));
    }
    detail.push('.');
    if let Some(failure) = failure {
        detail.push_str(&format!(" The others: {} ({}).", failure.message, failure.sqlstate));
    }
    error
        .with_detail(with_tail(Some(&detail), failure, about, "partial"))
        .with_hint(format!("Do not run it again as it is. {}", look_up(about.mutation)))
}

/// Whether it was applied cannot be known.
pub(super) fn unknown(failure: Option<&Failure>, about: &About) -> PgError {
    let detail = failure.map(|failure| failure.message.as_str());
    PgError::error("40003", format!("outcome of mutation {} is not known", about.mutation))
        .with_detail(with_tail(detail, failure, about, "unknown"))
        .with_hint(format!("Do not run it again before it is known. {}", look_up(about.mutation)))
}

/// Not known when waiting was over.
pub(crate) fn not_known(mutation: MutationId) -> PgError {
    PgError::error("40003", format!("outcome of mutation {mutation} is not known yet"))
        .with_detail(format!("mutation={mutation} outcome=unknown"))
        .with_hint(format!("Do not run it again before it is known. {}", look_up(mutation)))
}

fn look_up(mutation: MutationId) -> String {
    format!("SELECT * FROM upwrite.await('{mutation}', '10s')")
}

/// Ended before anything was sent. `mutation`: if it was in the log already.
pub(crate) fn withdrawn(cause: Cause, mutation: Option<MutationId>) -> PgError {
    let why = match cause {
        Cause::Cancel => "user request",
        Cause::StatementTimeout => "statement timeout",
        Cause::HoldTimeout => "upwrite.hold_timeout",
        Cause::LockTimeout => return lock_timeout(),
    };
    let tail = mutation.map_or_else(String::new, |mutation| format!("mutation={mutation} "));
    PgError::error("57014", format!("canceling statement due to {why}"))
        .with_detail(format!("The change was not applied.\n{tail}outcome=not_applied"))
}

/// A record was claimed for longer than the session wants to wait.
fn lock_timeout() -> PgError {
    PgError::error("55P03", "canceling statement due to lock timeout").with_detail(
        "Another mutation of the same record is unfinished. The change was not applied.\noutcome=not_applied",
    )
}

/// The log did not take it.
pub(crate) fn log_refused(mutation: Option<MutationId>) -> PgError {
    let tail = mutation.map_or_else(String::new, |mutation| format!("mutation={mutation} "));
    PgError::error("58030", "the event log did not accept the change")
        .with_detail(format!("The change was not applied.\n{tail}outcome=not_applied"))
        .with_hint("Run the statement again later.")
}

/// The log did not say whether it took it.
pub(crate) fn log_unanswered(mutation: MutationId) -> PgError {
    let error = not_known(mutation);
    let tail = format!("mutation={mutation} outcome=unknown");
    error.with_detail(format!("The event log did not answer whether it accepted the change.\n{tail}"))
}

/// The log's own limit.
pub(crate) fn too_large(bytes: usize, limit: usize) -> PgError {
    PgError::error("54000", format!("the changes of the statement take {bytes} bytes, of which {limit} are allowed"))
        .with_detail("The change was not applied.\noutcome=not_applied")
        .with_hint("Split it into several statements.")
}

/// Success, but a later read of the table may not show it yet.
pub(super) fn not_shown_yet(about: &About) -> PgError {
    PgError::warning(
        "01000",
        format!("mutation {} is applied, but {} does not show it yet", about.mutation, about.table),
    )
    .with_hint(look_up(about.mutation))
}

/// The client's transaction is undone, upstream is not.
pub(crate) fn outlived_rollback(mutations: &[MutationId], reason: &str) -> PgError {
    let named: Vec<String> = mutations.iter().take(NAMED_KEYS).map(ToString::to_string).collect();
    let more = mutations.len().saturating_sub(NAMED_KEYS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    PgError::warning("01000", "changes of synced tables were not rolled back: upstream has them")
        .with_detail(format!("After {reason}, these mutations stand: {}{more}.", named.join(", ")))
        .with_hint(
            "See upwrite.mutations. With upwrite.on_rollback = refuse, transaction blocks cannot change synced tables.",
        )
}

/// The sentence that ORMs read first, then `upstream=… code=… http=… mutation=… outcome=…`, unless the connector has
/// put that there already.
fn with_tail(sentence: Option<&str>, failure: Option<&Failure>, about: &About, outcome: &str) -> String {
    if let Some(sentence) = sentence
        && sentence.contains("upstream=")
        && sentence.contains(&format!("mutation={} outcome={outcome}", about.mutation))
    {
        return sentence.to_owned();
    }
    let mut tail = format!("upstream={}", about.table.source);
    if let Some(code) = failure.and_then(|failure| failure.upstream_code.as_ref()) {
        tail.push_str(&format!(" code={code}"));
    }
    if let Some(status) = failure.and_then(|failure| failure.http_status) {
        tail.push_str(&format!(" http={status}"));
    }
    if let Some(request) = failure.and_then(|failure| failure.request_id.as_ref()) {
        tail.push_str(&format!(" request={request}"));
    }
    tail.push_str(&format!(" mutation={} outcome={outcome}", about.mutation));
    match sentence {
        Some(sentence) if !sentence.is_empty() => format!("{sentence}\n{tail}"),
        _ => tail,
    }
}
