/// What of a table is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    RowsAndRecords,
    /// `upwrite.records` alone.
    Records,
}
