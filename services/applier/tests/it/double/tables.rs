//! The tables of the stand-in upstream: one per means against double effects.

use std::time::Duration;

use upwrite_connectors::{Capabilities, Idempotency};
use upwrite_events::{ColumnSpec, TableName, TableSpec};

pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Upstream enforces a key of ours.
pub(crate) const KEYED: &str = "keyed";
/// Only a search for what was sent can tell.
pub(crate) const PROBED: &str = "probed";
/// Nothing can tell.
pub(crate) const NOTHING: &str = "nothing";
/// As [`NOTHING`], with keys that are numbers.
pub(crate) const NUMBERED: &str = "numbered";

pub(crate) fn table(name: &str) -> TableSpec {
    let key_type = if name == NUMBERED { "bigint" } else { "text" };
    let columns = vec![
        ColumnSpec::new("id", key_type),
        ColumnSpec::new("parent", "text"),
        ColumnSpec::new("numbered_id", "bigint").references(NUMBERED),
        ColumnSpec::new("tag", "text"),
        ColumnSpec::new("n", "integer"),
    ];
    TableSpec::new(TableName::new("sim", name), "id", columns)
}

pub(crate) fn capabilities(table: &TableSpec) -> Capabilities {
    let insert = match table.name.table.as_str() {
        KEYED => Idempotency::UpsertKey,
        PROBED => Idempotency::Probe,
        _ => Idempotency::None,
    };
    Capabilities {
        insert,
        update: Idempotency::Natural,
        delete: Idempotency::Natural,
        max_batch: 3,
        atomic_batches: true,
        request_timeout: REQUEST_TIMEOUT,
        late_effect: Duration::from_secs(10),
        max_concurrency: 4,
        keys_per_read: 200,
    }
}
