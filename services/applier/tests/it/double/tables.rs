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

pub(crate) fn table(name: &str) -> TableSpec {
    let column = |name: &str, sql_type: &str| ColumnSpec {
        name: name.into(),
        field: name.into(),
        sql_type: sql_type.into(),
        vendor_type: sql_type.into(),
        comment: None,
        insertable: true,
        updatable: true,
        required: false,
        unique: false,
        case_sensitive: true,
        references: None,
    };
    TableSpec {
        name: TableName::new("sim", name),
        object: name.into(),
        comment: None,
        key: "id".into(),
        key_assigned_upstream: true,
        idempotency_column: None,
        version_column: None,
        columns: vec![column("id", "text"), column("tag", "text"), column("n", "integer")],
    }
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
