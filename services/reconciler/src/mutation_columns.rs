//! The columns of `upwrite.mutations` that the log determines, as parts of SQL over a [`crate::status::Status`] in JSON.
//! The reconciler writes them, a rebuild compares and mends them.

/// The fields of a status with their types, for `jsonb_to_record`.
pub(crate) const FIELDS: &str = "id uuid, state text, source text, table_name text, operation text, row_count int4, \
    applied_count int4, keys text[], database text, username text, application_name text, attempts int4, \
    requested_at_us int8, accepted_at_us int8, attempted_at_us int8, answered_at_us int8, not_before_us int8, \
    revocation_requested bool, outlived_rollback bool, traceparent text, redrive_of uuid, \
    partition int2, position int8, failure jsonb, lifecycle jsonb, finished bool, released bool";

/// Each column but `id`, and its value where `x` has the fields. Apart from these are `finished_at`, `settled_at` and
/// `released`, which depend on when the reconciler looked, and on what is parked.
const COLUMNS: [(&str, &str); 30] = [
    ("state", "x.state"),
    ("source", "x.source"),
    ("table_name", "x.table_name"),
    ("operation", "x.operation"),
    ("row_count", "x.row_count"),
    ("applied_count", "x.applied_count"),
    ("keys", "x.keys"),
    ("database", "x.database"),
    ("username", "x.username"),
    ("application_name", "x.application_name"),
    ("attempts", "x.attempts"),
    (
        "sqlstate",
        "case when x.state in ('in_doubt', 'partial') then '40003'
              when x.state = 'revoked' then '57014'
              when x.state = 'voided' then '58030'
              when x.state not in ('applied', 'requested') then x.failure->>'sqlstate' end",
    ),
    ("message", "case when x.state not in ('applied', 'requested') then x.failure->>'message' end"),
    ("detail", "case when x.state not in ('applied', 'requested') then x.failure->>'detail' end"),
    ("hint", "case when x.state not in ('applied', 'requested') then x.failure->>'hint' end"),
    ("upstream_code", "x.failure->>'upstream_code'"),
    ("upstream_request_id", "x.failure->>'request_id'"),
    ("requested_at", "'epoch'::timestamptz + x.requested_at_us * interval '1 microsecond'"),
    ("accepted_at", "'epoch'::timestamptz + x.accepted_at_us * interval '1 microsecond'"),
    ("attempted_at", "'epoch'::timestamptz + x.attempted_at_us * interval '1 microsecond'"),
    ("answered_at", "'epoch'::timestamptz + x.answered_at_us * interval '1 microsecond'"),
    ("not_before", "'epoch'::timestamptz + x.not_before_us * interval '1 microsecond'"),
    ("revocation_requested", "x.revocation_requested"),
    ("outlived_rollback", "x.outlived_rollback"),
    ("traceparent", "x.traceparent"),
    ("redrive_of", "x.redrive_of"),
    ("partition", "x.partition"),
    ("position", "x.position"),
    ("failure", "x.failure"),
    ("lifecycle", "coalesce(x.lifecycle, '{}')"),
];

/// In one order with [`values`].
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().map(|(name, _)| name)
}

/// Each with its column's name.
pub(crate) fn values() -> String {
    COLUMNS.map(|(name, value)| format!("{value} as {name}")).join(", ")
}
