//! What a refusal is about: its class, once the row and the message are looked at, and the column.

use upwrite_events::{ColumnSpec, ErrorClass, Op};

use super::super::value::Kind;
use super::codes::{class_of_code, class_of_status};
use super::patterns::{bracketed, duplicate, nested_code, quoted};
use super::vendor_error::VendorError;
use crate::RowResult;
use crate::outcome::About;

/// A classified refusal.
#[derive(Debug)]
pub(super) struct Classified<'a> {
    pub(super) class: ErrorClass,
    pub(super) column: Option<&'a ColumnSpec>,
    /// A code that the message quotes.
    pub(super) nested: Option<String>,
}

/// Whether "no such record" of an update may mean a record that it refers to, and only a look can tell.
pub(crate) fn may_mean_another_row(about: &About<'_>, result: &RowResult) -> bool {
    let RowResult::Failed(error) = result else { return false };
    let is_gone = error.failure.class == ErrorClass::NotFound;
    is_gone && about.op == Some(Op::Update) && !about.row_exists && references(about).next().is_some()
}

fn sends(about: &About<'_>, column: &ColumnSpec) -> bool {
    about.row.is_some_and(|row| row.changed.contains_key(&column.name))
}

fn references<'a>(about: &About<'a>) -> impl Iterator<Item = &'a ColumnSpec> {
    let columns = about.table.map(|table| table.columns.as_slice()).unwrap_or_default();
    let about = *about;
    columns.iter().filter(move |column| column.vendor_type == "reference" && sends(&about, column))
}

pub(super) fn classify<'a>(about: &About<'a>, status: u16, error: &VendorError) -> Classified<'a> {
    let code = error.code.as_deref().unwrap_or_default();
    let known = class_of_code(code);
    let class = match known {
        Some(class) => class,
        // A code that this version does not know, in an answer that is a refusal: definite, whatever it means.
        None if !code.is_empty() && matches!(status, 200..=299 | 400 | 404) => ErrorClass::BusinessRule,
        None => class_of_status(status),
    };
    let column = column(about, error);
    let is_reference = column.is_some_and(|column| column.vendor_type == "reference");
    let class = match (class, code) {
        (ErrorClass::BusinessRule, _) => return trigger(error, column),
        (ErrorClass::Check, "FIELD_INTEGRITY_EXCEPTION") if is_reference => ErrorClass::ForeignKey,
        (ErrorClass::ForeignKey, "MALFORMED_ID" | "INVALID_CROSS_REFERENCE_KEY") | (ErrorClass::NotFound, _) => {
            return gone(about, error, class, column);
        }
        (ErrorClass::ReadOnly, _) if !column.is_none_or(|column| !column.insertable && !column.updatable) => {
            ErrorClass::Permission
        }
        _ => class,
    };
    Classified { class, column, nested: None }
}

/// A refusal by a trigger or flow is final, unless what made it fail was passing.
fn trigger<'a>(error: &VendorError, column: Option<&'a ColumnSpec>) -> Classified<'a> {
    let nested = nested_code(&error.message).map(str::to_owned);
    let passing = nested
        .as_deref()
        .and_then(class_of_code)
        .filter(|class| matches!(class, ErrorClass::Locked | ErrorClass::RateLimited | ErrorClass::Unavailable));
    Classified { class: passing.unwrap_or(ErrorClass::BusinessRule), column, nested }
}

/// "No such record": the row itself, or one that it refers to?
fn gone<'a>(
    about: &About<'a>,
    error: &VendorError,
    class: ErrorClass,
    column: Option<&'a ColumnSpec>,
) -> Classified<'a> {
    let named = column.filter(|column| column.vendor_type == "reference");
    let quoted = references(about).find(|column| {
        about.value(&column.name).is_some_and(|id| id.get(..15).is_some_and(|id| error.message.contains(id)))
    });
    let reference = named.or(quoted);
    let class = match about.op {
        None => ErrorClass::UnknownTable,
        _ if reference.is_some() => ErrorClass::ForeignKey,
        // A row that is being created cannot be gone: it is one that it refers to. `NOT_FOUND` of a create that
        // refers to nothing means that the object itself is not there.
        Some(Op::Insert) if class == ErrorClass::NotFound && references(about).next().is_none() => {
            ErrorClass::UnknownTable
        }
        Some(Op::Insert) => ErrorClass::ForeignKey,
        Some(Op::Update) if about.row_exists => ErrorClass::ForeignKey,
        Some(Op::Update | Op::Delete) => ErrorClass::NotFound,
    };
    let only = || {
        let mut references = references(about);
        references.next().filter(|_| references.next().is_none())
    };
    let column = if class == ErrorClass::ForeignKey { reference.or_else(only) } else { None };
    Classified { class, column, nested: None }
}

fn column<'a>(about: &About<'a>, error: &VendorError) -> Option<&'a ColumnSpec> {
    let named = error.fields.iter().find_map(|field| about.field(field));
    named.or_else(|| match error.code.as_deref()? {
        "REQUIRED_FIELD_MISSING" => bracketed(&error.message).into_iter().find_map(|field| about.field(field)),
        "DUPLICATE_VALUE" | "DUPLICATE_EXTERNAL_ID" => about.field(duplicate(&error.message).0?),
        "INVALID_FIELD" => about.field(quoted(&error.message)?),
        "INVALID_FIELD_FOR_INSERT_UPDATE" => bracketed(&error.message).into_iter().find_map(|field| about.field(field)),
        "INVALID_DATE_FORMAT" => single(about, |kind| matches!(kind, Kind::Date | Kind::DateTime | Kind::Time)),
        "INVALID_EMAIL_ADDRESS" => {
            let table = about.table?;
            let mut emails =
                table.columns.iter().filter(|column| column.vendor_type == "email" && sends(about, column));
            emails.next().filter(|_| emails.next().is_none())
        }
        _ => None,
    })
}

/// The one column of such a kind that was sent, if it is one.
fn single<'a>(about: &About<'a>, fits: impl Fn(Kind) -> bool) -> Option<&'a ColumnSpec> {
    let table = about.table?;
    let mut columns = table.columns.iter().filter(|column| sends(about, column) && fits(Kind::of_column(column)));
    columns.next().filter(|_| columns.next().is_none())
}
