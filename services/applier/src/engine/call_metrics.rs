//! What is counted of a write call.

use std::time::Duration;

use upwrite_connectors::{CallReport, RowResult};
use upwrite_events::ErrorClass;

use super::lanes::LaneKey;

/// An answered write call, by how it ended: "applied", or the class of the first failure.
pub(super) fn record(key: &LaneKey, report: &CallReport, took: Duration) {
    let failed = report.rows.iter().find_map(|row| match row {
        RowResult::Failed(error) => Some(name(error.failure.class)),
        RowResult::Applied { .. } => None,
    });
    let source = key.table.source.clone();
    let (op, class) = (key.op.as_str(), failed.unwrap_or_else(|| "applied".to_owned()));
    metrics::histogram!("upwrite_applier_upstream_seconds", "source" => source, "op" => op, "class" => class)
        .record(took.as_secs_f64());
}

/// As in the log.
fn name(class: ErrorClass) -> String {
    serde_json::to_value(class).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}
