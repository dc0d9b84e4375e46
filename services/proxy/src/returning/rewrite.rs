//! Evaluating the list again.

use crate::catalog::SyncedTable;

/// How a plain statement's `RETURNING` is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returning {
    /// Its list is evaluated again on the reconciled rows.
    Again(Again),
    /// From the dry run's rows, with placeholders replaced.
    Buffered,
}

/// A list over columns, parameters, constants and stable functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The list with its parameters renumbered: `$1` stands for the keys, the client's follow.
    pub list: String,
    /// The name by which the list calls the target.
    pub alias: String,
    /// The client's parameters that stand for `$2`, `$3`, …: their numbers in the client's statement. The statement
    /// that evaluates again is parsed with their types (from the client's ParameterDescription) and bound with their
    /// values and formats.
    pub params: Vec<u16>,
}

impl Again {
    /// The statement that evaluates the list: `$1` is the keys as `text[]` (parse it with type 1009), in the order in
    /// which the rows come back.
    pub fn sql(&self, table: &SyncedTable) -> String {
        let _ = table;
        String::new()
    }
}
