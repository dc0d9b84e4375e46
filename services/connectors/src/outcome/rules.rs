//! Class → SQLSTATE, outcome and retry rule.

use upwrite_events::{ErrorClass, Outcome};

use crate::RetryRule;

/// What follows from a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub sqlstate: &'static str,
    pub outcome: Outcome,
    pub retry: RetryRule,
}

/// One row per class. Refusals are definite (`not_applied`) but for the server's own errors and timeouts.
pub fn rule(class: ErrorClass) -> Rule {
    use ErrorClass as C;
    let (sqlstate, outcome, retry) = match class {
        C::Check => ("23514", Outcome::NotApplied, RetryRule::Never),
        C::NotNull => ("23502", Outcome::NotApplied, RetryRule::Never),
        C::TooLong => ("22001", Outcome::NotApplied, RetryRule::Never),
        C::OutOfRange => ("22003", Outcome::NotApplied, RetryRule::Never),
        C::BadValue => ("22P02", Outcome::NotApplied, RetryRule::Never),
        C::Unique => ("23505", Outcome::NotApplied, RetryRule::Never),
        C::ForeignKey => ("23503", Outcome::NotApplied, RetryRule::Never),
        C::Restrict => ("23503", Outcome::NotApplied, RetryRule::Never),
        C::ReadOnly => ("428C9", Outcome::NotApplied, RetryRule::Never),
        C::UnknownColumn => ("42703", Outcome::NotApplied, RetryRule::Never),
        C::UnknownTable => ("42P01", Outcome::NotApplied, RetryRule::Never),
        C::Unsupported => ("0A000", Outcome::NotApplied, RetryRule::Never),
        C::NotFound | C::Stale => ("40001", Outcome::NotApplied, RetryRule::Never),
        C::Locked => ("55P03", Outcome::NotApplied, RetryRule::Backoff),
        C::InUse => ("55006", Outcome::NotApplied, RetryRule::Never),
        C::Permission => ("42501", Outcome::NotApplied, RetryRule::Never),
        C::Auth => ("HV000", Outcome::NotApplied, RetryRule::Never),
        C::RateLimited => ("53400", Outcome::NotApplied, RetryRule::Backoff),
        C::Quota => ("53400", Outcome::NotApplied, RetryRule::Never),
        C::StorageFull => ("53100", Outcome::NotApplied, RetryRule::Never),
        C::Unavailable => ("HV00N", Outcome::NotApplied, RetryRule::Backoff),
        C::BusinessRule => ("P0001", Outcome::NotApplied, RetryRule::Never),
        C::Timeout | C::ServerError => ("40003", Outcome::Unknown, RetryRule::Backoff),
        C::Collateral => ("HV000", Outcome::NotApplied, RetryRule::Alone),
        C::Bug => ("XX000", Outcome::NotApplied, RetryRule::Never),
    };
    Rule { sqlstate, outcome, retry }
}
