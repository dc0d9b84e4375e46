//! What each metric means. docs/observability.md has the same list for people, with labels; a test compares both with
//! the sources.

use metrics::Unit;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// In the order of the data flow.
const METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("upwrite_proxy_connections", Gauge, Unit::Count, "Clients that have logged in"),
    ("upwrite_proxy_logins_total", Counter, Unit::Count, "Logins, by outcome"),
    ("upwrite_proxy_statements_total", Counter, Unit::Count, "Statements, by what is done with them"),
    ("upwrite_proxy_reruns_total", Counter, Unit::Count, "Dry runs that had to be repeated, by reason"),
    (
        "upwrite_proxy_claim_waiters",
        Gauge,
        Unit::Count,
        "Statements that wait for a record claimed by another mutation",
    ),
    ("upwrite_proxy_claim_waits_total", Counter, Unit::Count, "Waits for a claimed record"),
    ("upwrite_proxy_claim_wait_seconds", Histogram, Unit::Seconds, "How long statements waited for a claimed record"),
    ("upwrite_proxy_appends_failed_total", Counter, Unit::Count, "Mutations that the log did not accept, by reason"),
    ("upwrite_proxy_holds", Gauge, Unit::Count, "Clients that wait for a verdict"),
    ("upwrite_proxy_hold_seconds", Histogram, Unit::Seconds, "How long clients waited for a verdict"),
    ("upwrite_proxy_verdicts_total", Counter, Unit::Count, "Verdicts told to clients, by SQLSTATE"),
    ("upwrite_log_append_seconds", Histogram, Unit::Seconds, "How long the log took to make events durable, by kind"),
    ("upwrite_log_append_failures_total", Counter, Unit::Count, "Appends that failed, by kind and reason"),
    ("upwrite_group_members_count", Gauge, Unit::Count, "Members of a group, as this one sees it"),
    ("upwrite_group_items_count", Gauge, Unit::Count, "Items of a group that this process has"),
    ("upwrite_applier_partitions_count", Gauge, Unit::Count, "Partitions of this applier, by how far it is with them"),
    ("upwrite_applier_queue_depth_count", Gauge, Unit::Count, "Row changes that wait to be sent, by source"),
    ("upwrite_applier_queue_age_seconds", Gauge, Unit::Seconds, "How long the oldest of them has waited"),
    ("upwrite_applier_calls_in_flight_count", Gauge, Unit::Count, "Calls and look-ups under way, by source"),
    ("upwrite_applier_budget_waits_total", Counter, Unit::Count, "Times that work waited for the rate budget"),
    (
        "upwrite_applier_leases_lost_total",
        Counter,
        Unit::Count,
        "Partitions lost to another applier, by how it was known",
    ),
    ("upwrite_applier_upstream_seconds", Histogram, Unit::Seconds, "Calls, with their reading back, by outcome class"),
    ("upwrite_upstream_request_seconds", Histogram, Unit::Seconds, "HTTP requests to upstream, by source and outcome"),
    ("upwrite_upstream_budget_requests", Gauge, Unit::Count, "Requests that the rate budget would let go at once"),
    ("upwrite_upstream_paused_seconds", Gauge, Unit::Seconds, "For how long upstream still wants to be left alone"),
    ("upwrite_reconciler_batch_records", Histogram, Unit::Count, "Log records in one transaction"),
    ("upwrite_reconciler_batch_seconds", Histogram, Unit::Seconds, "How long such a transaction took"),
    ("upwrite_reconciler_log_lag_seconds", Gauge, Unit::Seconds, "Age of the last record folded, by partition"),
    ("upwrite_reconciler_parked_images", Gauge, Unit::Count, "Images that wait for a lock"),
    ("upwrite_reconciler_conflicts_total", Counter, Unit::Count, "Rows that a user's own constraint refused"),
    ("upwrite_reconciler_dead_letters_total", Counter, Unit::Count, "Events that could not be read or folded"),
    ("upwrite_reconciler_verdicts_total", Counter, Unit::Count, "Verdicts made visible, by SQLSTATE"),
    ("upwrite_reconciler_voids_total", Counter, Unit::Count, "Claims ended because their request never came"),
    ("upwrite_records_published_total", Counter, Unit::Count, "Row versions put into the records' topics, by table"),
    ("upwrite_records_failures_total", Counter, Unit::Count, "Times that a table's publisher had to begin again"),
    ("upwrite_records_lag_seconds", Gauge, Unit::Seconds, "How long the oldest row of a batch had waited, by table"),
    ("upwrite_records_outbox_count", Gauge, Unit::Count, "Row versions that wait to be published, by table"),
];

/// For the recorder that is installed.
pub(super) fn all() {
    for (name, kind, unit, help) in METRICS {
        match kind {
            Counter => metrics::describe_counter!(*name, *unit, *help),
            Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn names_in(text: &str, quote: &str, found: &mut BTreeSet<String>) {
        let endings = ["_total", "_seconds", "_count", "_requests", "_records", "_images"];
        for part in text.split(quote).filter(|part| part.starts_with("upwrite_")) {
            let name = part.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
            if name && (endings.iter().any(|ending| part.ends_with(ending)) || part.starts_with("upwrite_proxy_")) {
                found.insert(part.to_owned());
            }
        }
    }

    fn sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("observe/describe.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.contains("counter!") || text.contains("gauge!") || text.contains("histogram!") {
                    names_in(&text, "\"", found);
                }
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_documented() {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut used = BTreeSet::new();
        for stage in ["proxy", "event-log", "connectors", "applier", "reconciler", "syncer", "upwrite"] {
            sources(&services.join(stage).join("src"), &mut used);
        }
        let described: BTreeSet<String> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(described.len(), METRICS.len(), "each once");
        assert_eq!(used, described, "in the sources, and here");
        let manual = std::fs::read_to_string(services.join("../docs/observability.md")).unwrap();
        let mut documented = BTreeSet::new();
        names_in(&manual, "`", &mut documented);
        assert_eq!(documented, described, "in docs/observability.md, and here");
    }
}
