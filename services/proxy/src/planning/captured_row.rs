//! One row of `upwrite.captured`.

/// One change of `upwrite.dry_run(secret)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedRow {
    pub seq: i64,
    pub relation: u32,
    /// `i`, `u` or `d`.
    pub op: u8,
    /// Record text in UTF-8.
    pub old: Option<Vec<u8>>,
    pub new: Option<Vec<u8>>,
}
