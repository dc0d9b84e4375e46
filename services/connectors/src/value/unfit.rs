//! Values that upstream has no form for.

use upwrite_events::{ColumnSpec, ErrorClass};

/// A value that cannot be said to the vendor; nothing is sent for its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub class: ErrorClass,
    pub sqlstate: &'static str,
    /// For the client.
    pub reason: String,
}

impl Unfit {
    pub fn new(class: ErrorClass, sqlstate: &'static str, reason: impl Into<String>) -> Self {
        Self { class, sqlstate, reason: reason.into() }
    }

    /// As Postgres refuses what is no value of the column's type.
    pub fn syntax(column: &ColumnSpec, text: &str) -> Self {
        let reason = format!("invalid input syntax for type {}: \"{text}\"", column.sql_type);
        Self::new(ErrorClass::BadValue, "22P02", reason)
    }
}
