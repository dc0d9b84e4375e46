//! Refusals after the dry run, in the words that Postgres uses for similar errors.

use upwrite_events::{MAX_EVENT_BYTES, MAX_ROWS_PER_MUTATION, MAX_VALUE_BYTES, TableName};

use super::error::PlanError;
use crate::error::PgError;

fn refused(error: PgError) -> PlanError {
    PlanError::Refused(error)
}

fn at(error: PgError, table: &TableName, column: &str) -> PlanError {
    refused(error.with_table(table.source.as_str(), table.table.as_str()).with_column(column))
}

/// An insert gave a column that only upstream (or Upwrite) fills.
pub(super) fn not_insertable(table: &TableName, column: &str) -> PlanError {
    let error = PgError::error("428C9", format!("cannot insert a non-DEFAULT value into column \"{column}\""))
        .with_detail(format!("Column \"{column}\" is a generated column."))
        .with_hint("Its value is assigned upstream or by Upwrite: leave it out.");
    at(error, table, column)
}

/// An update changed a column that only upstream (or Upwrite) changes.
pub(super) fn not_updatable(table: &TableName, column: &str) -> PlanError {
    let error = PgError::error("428C9", format!("column \"{column}\" can only be updated to DEFAULT"))
        .with_detail(format!("Column \"{column}\" is a generated column."))
        .with_hint("Its value is assigned upstream or by Upwrite: leave it as it is.");
    at(error, table, column)
}

pub(super) fn not_synced(table: &TableName, column: &str) -> PlanError {
    let error = PgError::unsupported(
        format!("column \"{column}\" of relation \"{}\" is not synced", table.table),
        "Upstream does not have it (any more): leave it out, or keep the value in a table of your own.",
    );
    at(error, table, column)
}

pub(super) fn value_too_large(table: &TableName, column: &str) -> PlanError {
    at(too_large(format!("value of column \"{column}\" is larger than {MAX_VALUE_BYTES} bytes")), table, column)
}

pub(super) fn too_many_rows() -> PlanError {
    refused(too_large(format!("one statement can change at most {MAX_ROWS_PER_MUTATION} rows of synced tables")))
}

pub(super) fn too_large_altogether() -> PlanError {
    refused(too_large(format!("the changes of the statement are larger than {MAX_EVENT_BYTES} bytes")))
}

fn too_large(message: String) -> PgError {
    PgError::error("54000", message)
        .with_detail("Nothing was sent upstream.")
        .with_hint("Split it into several statements.")
}

/// A `pending:` key from another statement, or made up.
pub(super) fn unknown_placeholder(table: &TableName, column: &str) -> PlanError {
    let error = PgError::error("22023", format!("column \"{column}\" refers to a record that does not exist yet"))
        .with_detail(
            "The value is a placeholder for a key that upstream has not assigned, of no record of this statement.",
        )
        .with_hint("Use the key that RETURNING gave once the first statement was done.");
    at(error, table, column)
}

/// A `pending:` key of the same statement.
pub(super) fn reference_within(table: &TableName, column: &str) -> PlanError {
    let error = PgError::unsupported(
        format!("column \"{column}\" refers to a record that the same statement inserts"),
        "Insert the record referred to first, in a statement of its own with RETURNING, and use the key that it gives.",
    );
    at(error, table, column)
}

pub(super) fn mixed(names: &[&str]) -> PlanError {
    refused(
        PgError::unsupported(
            "the statement changes synced and local tables together",
            "Change the local table in a statement of its own. If a trigger of yours does it, make it ENABLE REPLICA: then it \
             acts when the synced row is written.",
        )
        .with_detail(format!("It also wrote {}. Nothing was changed.", names.join(", "))),
    )
}

/// A synced table was changed by a statement that the proxy passed on (one of several in a query string, a cursor).
pub(super) fn armed() -> PlanError {
    refused(PgError::unsupported(
        "an earlier statement of the transaction changed a synced table unseen, so that it cannot commit any more",
        "Roll back, and send each statement on its own.",
    ))
}

pub(super) fn row_locks(name: &str) -> PlanError {
    refused(PgError::unsupported(
        format!("the transaction holds locks on synced table {name}, which would keep the result from being written"),
        "Leave out SELECT … FOR UPDATE (and LOCK TABLE) on synced tables before changing them: Upwrite itself lets \
         changes of one record wait for one another.",
    ))
}

pub(super) fn several_sources(first: &TableName, other: &TableName) -> PlanError {
    refused(PgError::unsupported(
        format!("the statement changes records of two sources, \"{}\" and \"{}\"", first.source, other.source),
        "No upstream could undo what the other did: write one statement for each.",
    ))
}

pub(super) fn several_kinds() -> PlanError {
    refused(PgError::unsupported(
        "the statement makes changes of several kinds in synced tables, which upstream cannot make all or none",
        "Change one synced table in one way (insert, update or delete) per statement.",
    ))
}

pub(super) fn isolation(level: &str) -> PlanError {
    refused(PgError::unsupported(
        format!("a {} transaction could not see the result of a change of a synced table", level.to_uppercase()),
        "Use READ COMMITTED, or run the statement outside of the transaction block.",
    ))
}

pub(super) fn on_rollback_refuse() -> PlanError {
    refused(PgError::unsupported(
        "synced tables cannot be changed inside a transaction block with upwrite.on_rollback = refuse",
        "Run the statement outside of the block, or set upwrite.on_rollback to warn.",
    ))
}

pub(super) fn not_built(what: &str, instead: &str) -> PlanError {
    refused(PgError::unsupported(format!("{what} is not supported yet"), instead))
}

pub(super) fn inconsistent(table: &TableName) -> PlanError {
    refused(PgError::error("XX000", format!("captured changes of {table} do not follow from one another")))
}
