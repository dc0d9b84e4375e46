//! Rows as they travel through the log: column values in Postgres's own text form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::TableName;

/// Column name → value in the text form that Postgres's output functions give under Upwrite's fixed settings
/// (`datestyle = ISO, YMD`, `intervalstyle = postgres`, `timezone = UTC`, `extra_float_digits = 1`,
/// `bytea_output = hex`). `None` is SQL NULL; of a column that is not in the map nothing is said.
pub type Row = BTreeMap<String, Option<String>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Insert,
    Update,
    Delete,
}

impl Op {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One record's change, as Postgres computed it in the dry run, folded to one per record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    pub table: TableName,
    pub op: Op,
    /// Primary key of the record in text form; for an insert whose key upstream assigns, the placeholder.
    pub key: String,
    /// `_version` of the captured row; `None` for an insert.
    pub version: Option<i64>,
    /// What goes upstream: for an insert the columns that are not NULL (without placeholder key), for an update the
    /// columns that changed, for a delete nothing.
    pub changed: Row,
    /// The whole row as it was; empty for an insert.
    pub old: Row,
}

/// When a request that saw or made an image ran: Unix time in microseconds, in Postgres's clock, widened by the
/// process's measured error. Made from a [`LocalInterval`] by `event_log::PgClock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub begun_us: i64,
    pub ended_us: i64,
}

/// When a request ran, as the process that made it says: Unix time in microseconds, in that process's own clock. A type of
/// its own, and never serialised, so that the time of no single machine gets into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalInterval {
    pub begun_us: i64,
    pub ended_us: i64,
}

/// One row of a mutation that upstream accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRow {
    /// Index into the request's rows.
    pub row: u32,
    /// Primary key as upstream knows it (the real id where the request had a placeholder).
    pub key: String,
    /// The whole row as upstream shows it now, by its own answer or read back. `None`: deleted, or not readable yet.
    pub image: Option<Row>,
    /// The vendor's version stamp of `image`, in a form that sorts as text (for example `2026-01-31T10:20:30.000Z`).
    pub vendor_version: Option<String>,
    pub seen: Interval,
}

/// One record as a read of upstream showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedRow {
    pub key: String,
    /// `None`: upstream says that the record is deleted.
    pub image: Option<Row>,
    pub vendor_version: Option<String>,
}
