//! The message, detail and fields of a class, in the forms that drivers and object mappers parse.

use upwrite_events::{ColumnSpec, ErrorClass, Failure};

use super::{About, Refusal};
use crate::limits::MAX_IDENTIFIER_BYTES;

/// Fills message, hint, constraint and the first sentence of the detail (which it returns).
pub(super) fn word(failure: &mut Failure, about: &About<'_>, refusal: &Refusal<'_>) -> Option<String> {
    let table = about.table.map_or("", |table| table.name.table.as_str());
    let column = refusal.column;
    let code = refusal.code.unwrap_or("refused").to_ascii_lowercase();
    match refusal.class {
        ErrorClass::NotNull => {
            failure.message = match column {
                Some(column) => format!(
                    "null value in column \"{}\" of relation \"{table}\" violates not-null constraint",
                    column.name
                ),
                None => format!("null value in a required column of relation \"{table}\" violates not-null constraint"),
            };
            (refusal.missing.len() > 1).then(|| format!("Upstream requires: {}.", refusal.missing.join(", ")))
        }
        ErrorClass::Check => {
            let constraint = name(&[table, column.map_or("", |column| &column.name), &code]);
            failure.message = format!("new row for relation \"{table}\" violates check constraint \"{constraint}\"");
            failure.constraint = Some(constraint);
            None
        }
        ErrorClass::Unique => unique(failure, about, table, &code, refusal),
        ErrorClass::ForeignKey => foreign_key(failure, about, table, column, &code),
        ErrorClass::Restrict => {
            let constraint = name(&[table, &code]);
            failure.message = format!(
                "update or delete on table \"{table}\" violates foreign key constraint \"{constraint}\" on another table"
            );
            failure.constraint = Some(constraint);
            let (spec, row) = (about.table?, about.row?);
            Some(format!("Key ({})=({}) is still referenced.", spec.key, row.key))
        }
        _ => plain(failure, about, table, refusal),
    }
}

fn unique(failure: &mut Failure, about: &About<'_>, table: &str, code: &str, refusal: &Refusal<'_>) -> Option<String> {
    let column = refusal.column;
    let constraint = match column {
        Some(column) => name(&[table, &column.name, "key"]),
        None => name(&[table, code]),
    };
    failure.message = format!("duplicate key value violates unique constraint \"{constraint}\"");
    failure.constraint = Some(constraint);
    failure.hint = refusal.other_record.map(|id| format!("The other record is {id}."));
    let column = column?;
    Some(format!("Key ({})=({}) already exists.", column.name, about.value(&column.name)?))
}

fn foreign_key(
    failure: &mut Failure,
    about: &About<'_>,
    table: &str,
    column: Option<&ColumnSpec>,
    code: &str,
) -> Option<String> {
    let constraint = match column {
        Some(column) => name(&[table, &column.name, "fkey"]),
        None => name(&[table, code]),
    };
    failure.message = format!("insert or update on table \"{table}\" violates foreign key constraint \"{constraint}\"");
    failure.constraint = Some(constraint);
    let column = column?;
    let value = about.value(&column.name)?;
    Some(match &column.references {
        Some(other) => format!("Key ({})=({value}) is not present in table \"{other}\".", column.name),
        None => format!("Key ({})=({value}) is not present upstream.", column.name),
    })
}

/// Classes whose detail has no sentence of its own.
fn plain(failure: &mut Failure, about: &About<'_>, table: &str, refusal: &Refusal<'_>) -> Option<String> {
    let column = refusal.column;
    let source = about.source;
    failure.message = match refusal.class {
        ErrorClass::TooLong => match (refusal.max_length, column) {
            (Some(length), _) => format!("value too long for type character varying({length})"),
            (None, Some(column)) => format!("value too long for column \"{}\"", column.name),
            (None, None) => format!("value too long for a column of relation \"{table}\""),
        },
        ErrorClass::OutOfRange => "numeric field overflow".to_owned(),
        ErrorClass::BadValue => match column.and_then(|column| Some((column, about.value(&column.name)?))) {
            Some((column, value)) => format!("invalid input syntax for type {}: \"{value}\"", column.sql_type),
            None => format!("invalid input for relation \"{table}\""),
        },
        ErrorClass::ReadOnly => match column {
            Some(column) => format!("column \"{}\" can only be updated to DEFAULT", column.name),
            None => format!("a column of relation \"{table}\" can only be updated to DEFAULT"),
        },
        ErrorClass::UnknownColumn => {
            failure.hint = Some("The upstream object has changed: run `upwrite setup` again.".to_owned());
            match column {
                Some(column) => format!("column \"{}\" of relation \"{table}\" does not exist upstream", column.name),
                None => format!("a column of relation \"{table}\" does not exist upstream"),
            }
        }
        ErrorClass::UnknownTable => format!("relation \"{source}.{table}\" does not exist upstream"),
        ErrorClass::Unsupported => format!("upstream does not support this operation on \"{source}.{table}\""),
        ErrorClass::NotFound => "could not serialize access due to concurrent delete".to_owned(),
        ErrorClass::Stale => "could not serialize access due to concurrent update".to_owned(),
        ErrorClass::Locked => format!("could not obtain lock on row in relation \"{table}\""),
        ErrorClass::InUse => format!("row of relation \"{table}\" is locked by an upstream process"),
        ErrorClass::Permission => match column {
            Some(column) => format!("permission denied for column \"{}\" of relation \"{table}\"", column.name),
            None => format!("permission denied for table {table}"),
        },
        ErrorClass::Auth => {
            failure.hint = Some(format!("Check the credentials of connection \"{source}\"."));
            format!("upstream connection \"{source}\" needs re-authorisation")
        }
        ErrorClass::RateLimited => "upstream rate limit exceeded".to_owned(),
        ErrorClass::Quota => "upstream quota exceeded".to_owned(),
        ErrorClass::StorageFull => "upstream storage limit exceeded".to_owned(),
        ErrorClass::Unavailable => format!("could not establish connection to upstream \"{source}\""),
        ErrorClass::BusinessRule if !refusal.message.is_empty() => refusal.message.to_owned(),
        ErrorClass::BusinessRule => "refused by upstream".to_owned(),
        ErrorClass::Collateral => "not applied because another row of the same call was refused".to_owned(),
        _ => format!("upstream \"{source}\" could not process the request"),
    };
    None
}

/// `<table>_<column>_<code>`, lower case, cut as Postgres cuts identifiers. Stable: object mappers know it by name.
fn name(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    let mut name = parts.join("_").to_ascii_lowercase();
    while name.len() > MAX_IDENTIFIER_BYTES {
        name.pop();
    }
    name
}
