//! Failures that the applier itself words.

use upwrite_events::{ErrorClass, Failure, MutationId, Outcome};

/// 40003: an attempt may have been applied, and that cannot be known.
pub(crate) fn unknown_outcome(mutation: MutationId, last: Option<&Failure>) -> Failure {
    let class = last.map_or(ErrorClass::Timeout, |last| last.class);
    let mut failure =
        Failure::new(class, Outcome::Unknown, "40003", format!("outcome of mutation {mutation} is not known yet"));
    failure.detail = Some(match last {
        Some(last) => format!("mutation={mutation} outcome=unknown; last heard: {}", last.message),
        None => format!("mutation={mutation} outcome=unknown"),
    });
    failure.hint = Some(format!("SELECT * FROM upwrite.mutations WHERE id = '{mutation}'"));
    if let Some(last) = last {
        failure.upstream_code.clone_from(&last.upstream_code);
        failure.http_status = last.http_status;
        failure.request_id.clone_from(&last.request_id);
    }
    failure
}

/// Attempts or time are spent, and nothing was applied. Keeps what the connector said of the last attempt.
pub(crate) fn given_up(last: Option<&Failure>, sends: u32) -> Failure {
    let mut failure = last.filter(|last| last.outcome == Outcome::NotApplied).cloned().unwrap_or_else(|| {
        let (class, sqlstate) = last.map_or((ErrorClass::Unavailable, "HV00N"), |last| match last.class {
            ErrorClass::RateLimited | ErrorClass::Quota => (last.class, "53400"),
            ErrorClass::Locked => (last.class, "55P03"),
            class => (class, "HV00N"),
        });
        Failure::new(class, Outcome::NotApplied, sqlstate, "upstream could not be reached")
    });
    let note = format!("given up after {sends} attempts; not applied");
    failure.detail = Some(match failure.detail.take() {
        Some(detail) => format!("{detail}; {note}"),
        None => note,
    });
    failure
}

/// Never sent, because another row of the same mutation ended badly.
pub(crate) fn not_sent_after(stop: &Failure) -> Failure {
    let mut failure = stop.clone();
    failure.outcome = Outcome::NotApplied;
    if stop.outcome != Outcome::NotApplied {
        failure.class = ErrorClass::Collateral;
    }
    failure
}

/// The mutation cannot be sent at all: its table or connector is not known here.
pub(crate) fn no_table(table: &upwrite_events::TableName) -> Failure {
    let mut failure = Failure::new(
        ErrorClass::UnknownTable,
        Outcome::NotApplied,
        "HV00R",
        format!("no upstream is configured for table \"{table}\""),
    );
    failure.schema = Some(table.source.clone());
    failure.table = Some(table.table.clone());
    failure
}

/// A connector broke its contract, or its answer did not come in time: the rows may have been applied.
pub(crate) fn no_answer(class: ErrorClass, why: &str) -> Failure {
    Failure::new(class, Outcome::Unknown, "40003", why)
}
