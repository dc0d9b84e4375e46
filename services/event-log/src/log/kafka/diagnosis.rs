//! Why brokers cannot be used: what librdkafka last said of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What was said longer ago has passed: librdkafka repeats what lasts every 30 s.
const FRESH: Duration = Duration::from_secs(60);
/// A connection that ends so soon was never of use.
const SOON_MS: u64 = 2000;

/// Behind what a broker's access control lists forbid.
pub(crate) const MUST_BE_ALLOWED: &str = "docs/operations.md says what the brokers' ACLs must allow";

/// How librdkafka says that a broker ended a connection, with whatever it was about to do at that moment.
const HUNG_UP: [&str; 3] = ["Disconnected", "Broken pipe", "Connection reset"];

/// How much it explains. What explains less does not replace what explains more, as long as that is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// A line of the log: connections may also end in good order.
    Remark,
    Failure,
    /// Trying again does not help: certificates or passwords have to be changed.
    Refusal,
    /// There is nothing to show to a broker: whatever they say to that, this is why.
    Unready,
}

#[derive(Debug, Clone)]
struct Finding {
    weight: Weight,
    reason: String,
    at: Instant,
}

/// Shared by the clients of a process's log. Holds no secrets: librdkafka writes none.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis(Mutex<Option<Finding>>);

impl Diagnosis {
    /// Whether it is news.
    pub(crate) fn note(&self, weight: Weight, said: &str) -> bool {
        let (reason, at) = (understandable(said), Instant::now());
        let mut finding = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (heavier, same) = match finding.as_ref().filter(|finding| finding.at.elapsed() < FRESH) {
            Some(finding) => (finding.weight > weight, finding.reason == reason),
            None => (false, false),
        };
        if same || !heavier {
            let weight =
                if same { finding.as_ref().map_or(weight, |finding| finding.weight.max(weight)) } else { weight };
            *finding = Some(Finding { weight, reason, at });
        }
        !same
    }

    pub(crate) fn passed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn fresh(&self) -> Option<Finding> {
        let finding = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        finding.clone().filter(|finding| finding.at.elapsed() < FRESH)
    }

    /// Whether a broker refuses this process for what it is.
    pub(crate) fn refused(&self) -> bool {
        self.fresh().is_some_and(|finding| finding.weight >= Weight::Refusal)
    }

    /// The text, and what is behind it as far as that is known.
    pub(crate) fn with_reason(&self, text: impl Into<String>) -> String {
        let text = text.into();
        match self.fresh() {
            Some(finding) => format!("{text}: {}", finding.reason),
            None => text,
        }
    }

    /// What failed, and why no broker could be asked, if that is what it comes from.
    pub(crate) fn explain(&self, error: &KafkaError) -> String {
        use RDKafkaErrorCode::{
            AllBrokersDown, Authentication, BrokerTransportFailure, ClusterAuthorizationFailed, MessageTimedOut,
            OperationTimedOut, Resolve, SSL, TopicAuthorizationFailed, TransactionalIdAuthorizationFailed,
        };
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(
                AllBrokersDown
                | Authentication
                | BrokerTransportFailure
                | MessageTimedOut
                | OperationTimedOut
                | Resolve
                | SSL,
            ) => self.with_reason(error.to_string()),
            Some(ClusterAuthorizationFailed | TopicAuthorizationFailed | TransactionalIdAuthorizationFailed) => {
                format!("{error}; {MUST_BE_ALLOWED}")
            }
            _ => error.to_string(),
        }
    }
}

/// Without what differs from time to time, and with what it is likely to mean.
fn understandable(said: &str) -> String {
    // A log line begins with the thread that wrote it.
    let said = match said.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")) {
        Some((_, said)) => said,
        None => said,
    };
    let (text, state) = match said.rsplit_once(" (after ") {
        Some((text, state)) => (text, state),
        None => (said, ""),
    };
    match advice(text, state) {
        Some(advice) => format!("{text}; {advice}"),
        None => text.to_owned(),
    }
}

/// Whether the broker ended the connection because of what TLS showed it.
pub(crate) fn is_alert(text: &str) -> bool {
    text.contains("SSL routines") && text.contains(" alert ")
}

/// A listener that was spoken to in the wrong way only hangs up, and librdkafka does not note all that may be wrong.
fn advice(text: &str, state: &str) -> Option<&'static str> {
    if text.contains("certificate verify failed") {
        // Of these two mistakes librdkafka only names the other one.
        return Some("the certificate must also name the host that it was reached by");
    }
    if is_alert(text) && text.contains("certificate") {
        return Some("the broker wants a certificate that it trusts (`ssl.certificate.location`)");
    }
    if !HUNG_UP.iter().any(|words| text.contains(words)) || text.contains("security.protocol") {
        return None;
    }
    let encrypted = text.starts_with("ssl://") || text.starts_with("sasl_ssl://");
    let soon = state.split_once("ms").and_then(|(ms, _)| ms.parse::<u64>().ok()).is_some_and(|ms| ms < SOON_MS);
    if !encrypted && state.contains("APIVERSION_QUERY") {
        return Some("does this listener want TLS? `security.protocol` says how it is spoken to");
    }
    let talked = state.contains("state UP") || state.contains("APIVERSION_QUERY");
    if !text.starts_with("sasl_") && soon && talked {
        return Some("does this listener want SASL? `security.protocol` says how it is spoken to");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_more_stays() {
        let diagnosis = Diagnosis::default();
        assert_eq!(diagnosis.with_reason("no answer"), "no answer");
        assert!(diagnosis.note(Weight::Failure, "k:1: Connect failed (after 2ms in state CONNECT)"));
        assert!(!diagnosis.note(Weight::Failure, "k:1: Connect failed (after 9ms in state CONNECT, 3 suppressed)"));
        assert!(diagnosis.note(Weight::Refusal, "k:1: Authentication failed (after 300ms in state AUTH_REQ)"));
        diagnosis.note(Weight::Remark, "k:1: Disconnected (after 1ms in state CONNECT)");
        assert!(diagnosis.refused());
        // The log line of the same refusal does not make it lighter.
        diagnosis
            .note(Weight::Remark, "[thrd:k:1/bootstrap]: k:1: Authentication failed (after 300ms in state AUTH_REQ)");
        assert!(diagnosis.refused());
        assert_eq!(diagnosis.with_reason("no answer"), "no answer: k:1: Authentication failed");
        diagnosis.passed();
        assert_eq!(diagnosis.with_reason("no answer"), "no answer");
    }

    #[test]
    fn only_what_comes_from_the_connection_is_explained_by_it() {
        let diagnosis = Diagnosis::default();
        diagnosis.note(Weight::Refusal, "k:1: Authentication failed");
        let timed_out = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        assert!(diagnosis.explain(&timed_out).ends_with(": k:1: Authentication failed"));
        let forbidden = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(diagnosis.explain(&forbidden), format!("{forbidden}; {MUST_BE_ALLOWED}"));
        let other = KafkaError::MetadataFetch(RDKafkaErrorCode::InvalidTopic);
        assert_eq!(diagnosis.explain(&other), other.to_string());
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_explained() {
        let alert = "ssl://k:1: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: number 42";
        assert!(is_alert(alert) && understandable(alert).contains("`ssl.certificate.location`"));
        let theirs =
            "ssl://k:1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed (after 1ms)";
        assert!(!is_alert(theirs) && understandable(theirs).contains("host that it was reached by"));
    }

    #[test]
    fn a_listener_that_hangs_up_is_explained() {
        for (said, wants) in [
            ("[thrd:[::1]:9/bootstrap]: [::1]:9/bootstrap: Disconnected (after 5ms in state APIVERSION_QUERY)", "TLS?"),
            ("sasl_plaintext://k:9/1: Disconnected: closed (after 5ms in state APIVERSION_QUERY)", "TLS?"),
            ("ssl://k:9/1: Disconnected: closed by peer (after 5ms in state UP)", "SASL?"),
            (
                "ssl://k:9/1: Send failed: SSL transport error: Broken pipe (after 5ms in state APIVERSION_QUERY)",
                "SASL?",
            ),
            ("k:9/1: Disconnected: closed by peer (after 5ms in state UP)", "SASL?"),
        ] {
            let text = understandable(said);
            assert!(text.contains(wants) && !text.contains("thrd") && !text.contains("after"), "{text}");
        }
        let idle = "ssl://k:9/1: Disconnected: closed by peer (after 600000ms in state UP)";
        assert_eq!(understandable(idle), "ssl://k:9/1: Disconnected: closed by peer");
    }
}
