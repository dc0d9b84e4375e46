//! What was being done.

use upwrite_events::{ColumnSpec, Op, TableSpec};

use crate::CallRow;

/// What was being done when upstream refused.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub source: &'a str,
    pub table: Option<&'a TableSpec>,
    /// `None`: a read.
    pub op: Option<Op>,
    pub row: Option<&'a CallRow>,
    /// The row itself was seen after the refusal: "no such record" means one that it refers to.
    pub row_exists: bool,
}

impl<'a> About<'a> {
    /// A request that is about no table in particular.
    pub fn source(source: &'a str) -> Self {
        Self { source, table: None, op: None, row: None, row_exists: false }
    }

    /// A read of a table.
    pub fn read(source: &'a str, table: &'a TableSpec) -> Self {
        Self { table: Some(table), ..Self::source(source) }
    }

    /// The column of a field that the vendor names, in whatever case.
    pub fn field(&self, field: &str) -> Option<&'a ColumnSpec> {
        self.table?.columns.iter().find(|column| column.field.eq_ignore_ascii_case(field))
    }

    /// The value that was sent for a column, else the one that the row had.
    pub fn value(&self, column: &str) -> Option<&'a str> {
        let row = self.row?;
        row.changed.get(column).or_else(|| row.old.get(column))?.as_deref()
    }
}
