//! What the proxy counts. Names, labels and units are listed in docs/observability.md.

use std::time::Instant;

use metrics::{Gauge, counter, gauge, histogram};
use upwrite_event_log::LogError;

use crate::verdict::Verdict;

/// Counted in a gauge until it is dropped.
pub(crate) struct Presence {
    gauge: Gauge,
    /// The histogram of how long it existed.
    timed: Option<(&'static str, Instant)>,
}

impl Presence {
    /// A client that has logged in.
    pub(crate) fn connection() -> Self {
        Self::new(gauge!("upwrite_proxy_connections"), None)
    }

    /// A mutation whose client waits for the verdict.
    pub(crate) fn hold() -> Self {
        Self::new(gauge!("upwrite_proxy_holds"), Some("upwrite_proxy_hold_seconds"))
    }

    /// A statement that waits for a record that another mutation has claimed.
    pub(crate) fn claim_wait() -> Self {
        counter!("upwrite_proxy_claim_waits_total").increment(1);
        Self::new(gauge!("upwrite_proxy_claim_waiters"), Some("upwrite_proxy_claim_wait_seconds"))
    }

    fn new(gauge: Gauge, timed: Option<&'static str>) -> Self {
        gauge.increment(1);
        Self { gauge, timed: timed.map(|name| (name, Instant::now())) }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.gauge.decrement(1);
        if let Some((name, begun)) = self.timed {
            histogram!(name).record(begun.elapsed());
        }
    }
}

/// What is done with a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Class {
    /// Passed on as it is.
    Relayed,
    /// Run dry first.
    Captured,
    /// Answered with an error, never sent.
    Refused,
}

pub(crate) fn statements(class: Class, count: usize) {
    let class = match class {
        Class::Relayed => "relayed",
        Class::Captured => "captured",
        Class::Refused => "refused",
    };
    counter!("upwrite_proxy_statements_total", "class" => class).increment(u64::try_from(count).unwrap_or(u64::MAX));
}

pub(crate) fn login(accepted: bool) {
    let outcome = if accepted { "accepted" } else { "refused" };
    counter!("upwrite_proxy_logins_total", "outcome" => outcome).increment(1);
}

/// Why a statement is run dry once more.
pub(crate) fn rerun(reason: &'static str) {
    counter!("upwrite_proxy_reruns_total", "reason" => reason).increment(1);
}

/// SQLSTATEs of verdicts are those of the connectors' tables and a few of the proxy's own, so there are not many.
pub(crate) fn verdict(verdict: &Verdict) {
    counter!("upwrite_proxy_verdicts_total", "sqlstate" => sqlstate(verdict).to_owned()).increment(1);
}

/// `00000`: success.
pub(crate) fn sqlstate(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Success(_) => "00000",
        Verdict::Failure(error) => &error.sqlstate,
    }
}

pub(crate) fn append_failed(error: &LogError) {
    let reason = match error {
        LogError::Unknown(_) => "unknown",
        LogError::TooLarge { .. } => "too_large",
        LogError::NotAppended(_) | LogError::Mismatch(_) | LogError::Unavailable(_) | LogError::Newer(_) => {
            "not_appended"
        }
    };
    counter!("upwrite_proxy_appends_failed_total", "reason" => reason).increment(1);
}
