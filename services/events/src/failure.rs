//! Why a row was not applied, in the client's terms.

use serde::{Deserialize, Serialize};

/// Closed set of classes of upstream failures. The table in `connectors` says for each: retry rule and SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    Check,
    NotNull,
    TooLong,
    OutOfRange,
    BadValue,
    Unique,
    ForeignKey,
    Restrict,
    ReadOnly,
    UnknownColumn,
    UnknownTable,
    Unsupported,
    NotFound,
    Stale,
    Locked,
    InUse,
    Permission,
    Auth,
    RateLimited,
    Quota,
    StorageFull,
    Unavailable,
    BusinessRule,
    Timeout,
    ServerError,
    /// Refused only because another row of the same call was refused.
    Collateral,
    Bug,
}

/// Whether the change took effect upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    NotApplied,
    Applied,
    Unknown,
}

/// What the client will read as a Postgres error. All texts are fit for clients; no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: ErrorClass,
    pub outcome: Outcome,
    /// Five characters.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
    /// The vendor's own code, e.g. `REQUIRED_FIELD_MISSING`.
    pub upstream_code: Option<String>,
    pub http_status: Option<u16>,
    /// The vendor's id of the request, where it gives one.
    pub request_id: Option<String>,
}

impl Failure {
    /// A failure with the four fields that every one has; the rest empty.
    pub fn new(class: ErrorClass, outcome: Outcome, sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            outcome,
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
            upstream_code: None,
            http_status: None,
            request_id: None,
        }
    }
}
