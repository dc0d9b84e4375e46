//! What reads and look-ups give.

use upwrite_events::{LocalInterval, ObservedRow, Row};

/// What became of one row, or what is known of one key, as a read shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupResult {
    /// Not there (now).
    Absent,
    Present {
        key: String,
        image: Row,
        vendor_version: Option<String>,
    },
    /// More than one record fits, or upstream does not say which one it is.
    Ambiguous,
}

/// One page of a table.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<ObservedRow>,
    pub seen: LocalInterval,
    /// Where the next page starts; `None`: this was the last.
    pub next: Option<String>,
}
