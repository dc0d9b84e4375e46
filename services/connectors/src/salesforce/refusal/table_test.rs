//! The table, row by row, in both of the vendor's forms; and the words, class by class.

use std::time::Duration;

use serde_json::json;
use upwrite_events::{ColumnSpec, ErrorClass, Op, Outcome, Row, TableName, TableSpec};

use super::codes::CODES;
use super::{VendorError, of_answer, of_errors};
use crate::http::Response;
use crate::outcome::About;
use crate::{CallRow, RetryRule, UpstreamError};

const MUTATION: &str = "0190a0b0-0000-7000-8000-000000000001";

fn column(name: &str, field: &str, vendor_type: &str, sql_type: &str, references: Option<&str>) -> ColumnSpec {
    let column = ColumnSpec::new(name, sql_type).with_vendor_names(field, vendor_type);
    let column = if matches!(name, "total" | "id") { column.read_only() } else { column };
    match references {
        Some(table) => column.references(table),
        None => column,
    }
}

fn table() -> TableSpec {
    let columns = vec![
        column("id", "Id", "id", "text", None),
        column("last_name", "LastName", "string", "text", None),
        column("email", "Email", "email", "text", None),
        column("birthdate", "Birthdate", "date", "date", None),
        column("amount", "Amount__c", "double", "numeric(18,2)", None),
        column("total", "Total__c", "double", "numeric", None),
        column("account_id", "AccountId", "reference", "text", Some("account")),
    ];
    TableSpec::new(TableName::new("salesforce", "contact"), "id", columns).with_object("Contact")
}

fn row(changed: &[(&str, &str)]) -> CallRow {
    CallRow {
        idempotency_key: format!("{MUTATION}-0"),
        key: "003000000000001AAA".to_owned(),
        changed: changed.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect::<Row>(),
        old: Row::new(),
    }
}

/// What comes of one refusal, checked to be the same in both forms.
fn refused(op: Op, changed: &[(&str, &str)], code: &str, message: &str, fields: &[&str]) -> UpstreamError {
    let (table, row) = (table(), row(changed));
    let about = About { source: "salesforce", table: Some(&table), op: Some(op), row: Some(&row), row_exists: false };
    let single = json!([{"errorCode": code, "message": message, "fields": fields}]);
    let collection = json!([{"statusCode": code, "message": message, "fields": fields}]);
    let answer = Response { status: 400, retry_after: None, body: single.to_string().into_bytes() };
    let (of_single, _) = of_answer(&about, &answer);
    let of_row = of_errors(&about, 400, &VendorError::all_of(&collection));
    assert_eq!(of_single.failure, of_row.failure);
    of_row
}

/// Code, class of an insert, SQLSTATE of an insert, may be tried again.
const INSERTS: &[(&str, ErrorClass, &str, bool)] = {
    use ErrorClass as C;
    &[
        ("REQUIRED_FIELD_MISSING", C::NotNull, "23502", false),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", C::Check, "23514", false),
        ("FIELD_INTEGRITY_EXCEPTION", C::Check, "23514", false),
        ("FIELD_FILTER_VALIDATION_EXCEPTION", C::Check, "23514", false),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", C::Check, "23514", false),
        ("INVALID_EMAIL_ADDRESS", C::Check, "23514", false),
        ("INVALID_CURRENCY_ISO", C::Check, "23514", false),
        ("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", C::Check, "23514", false),
        ("STRING_TOO_LONG", C::TooLong, "22001", false),
        ("NUMBER_OUTSIDE_VALID_RANGE", C::OutOfRange, "22003", false),
        ("INVALID_TYPE_ON_FIELD_IN_RECORD", C::BadValue, "22P02", false),
        ("JSON_PARSER_ERROR", C::BadValue, "22P02", false),
        ("POST_BODY_PARSE_ERROR", C::BadValue, "22P02", false),
        ("INVALID_DATE_FORMAT", C::BadValue, "22007", false),
        ("MALFORMED_ID", C::ForeignKey, "23503", false),
        ("INVALID_CROSS_REFERENCE_KEY", C::ForeignKey, "23503", false),
        ("INVALID_CROSS_REFERENCE_TYPE_FOR_FIELD", C::ForeignKey, "23503", false),
        ("DUPLICATE_VALUE", C::Unique, "23505", false),
        ("DUPLICATE_EXTERNAL_ID", C::Unique, "23505", false),
        ("DUPLICATE_USERNAME", C::Unique, "23505", false),
        ("DUPLICATE_DEVELOPER_NAME", C::Unique, "23505", false),
        ("DUPLICATES_DETECTED", C::Unique, "23505", false),
        ("INVALID_FIELD", C::UnknownColumn, "42703", false),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", C::ReadOnly, "428C9", false),
        ("FIELD_NOT_UPDATABLE", C::ReadOnly, "428C9", false),
        ("INVALID_TYPE", C::UnknownTable, "42P01", false),
        ("INVALID_TYPE_FOR_OPERATION", C::Unsupported, "0A000", false),
        ("ENTITY_IS_DELETED", C::ForeignKey, "23503", false),
        ("NOT_FOUND", C::ForeignKey, "23503", false),
        ("RECORD_NOT_FOUND", C::ForeignKey, "23503", false),
        ("MISSING_RECORD", C::ForeignKey, "23503", false),
        ("ENTITY_IS_LOCKED", C::InUse, "55006", false),
        ("ENTITY_IS_ARCHIVED", C::InUse, "55006", false),
        ("RECORD_IN_USE_BY_WORKFLOW", C::InUse, "55006", false),
        ("ALREADY_IN_PROCESS", C::InUse, "55006", false),
        ("DELETE_FAILED", C::Restrict, "23503", false),
        ("DEPENDENCY_EXISTS", C::Restrict, "23503", false),
        ("DELETE_REQUIRED_ON_CASCADE", C::Restrict, "23503", false),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", C::BusinessRule, "P0001", false),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", C::BusinessRule, "P0001", false),
        ("CUSTOM_APEX_ERROR", C::BusinessRule, "P0001", false),
        ("FLOW_EXCEPTION", C::BusinessRule, "P0001", false),
        ("INSUFFICIENT_ACCESS", C::Permission, "42501", false),
        ("INSUFFICIENT_ACCESS_OR_READONLY", C::Permission, "42501", false),
        ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", C::Permission, "42501", false),
        ("CANNOT_DELETE_OWNER", C::Permission, "42501", false),
        ("TRANSFER_REQUIRES_READ", C::Permission, "42501", false),
        ("FUNCTIONALITY_NOT_ENABLED", C::Permission, "42501", false),
        ("API_DISABLED_FOR_ORG", C::Permission, "42501", false),
        ("TXN_SECURITY_METERING_ERROR", C::Permission, "42501", false),
        ("TXN_SECURITY_NO_ACCESS", C::Permission, "42501", false),
        ("INVALID_SESSION_ID", C::Auth, "HV000", false),
        ("UNABLE_TO_LOCK_ROW", C::Locked, "55P03", true),
        ("REQUEST_LIMIT_EXCEEDED", C::RateLimited, "53400", true),
        ("LIMIT_EXCEEDED", C::RateLimited, "53400", true),
        ("TOO_MANY_APEX_REQUESTS", C::RateLimited, "53400", true),
        ("TOO_MANY_JOBS", C::RateLimited, "53400", true),
        ("STORAGE_LIMIT_EXCEEDED", C::StorageFull, "53100", false),
        ("EXCEEDED_QUOTA", C::Quota, "53400", false),
        ("LICENSE_LIMIT_EXCEEDED", C::Quota, "53400", false),
        ("SERVER_UNAVAILABLE", C::Unavailable, "HV00N", true),
        ("API_CURRENTLY_DISABLED", C::Unavailable, "HV00N", true),
        ("ORG_IN_MAINTENANCE", C::Unavailable, "HV00N", true),
        ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", C::Unavailable, "HV00N", true),
        ("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", C::Unavailable, "HV00N", true),
        ("SSO_SERVICE_DOWN", C::Unavailable, "HV00N", true),
        ("UNKNOWN_EXCEPTION", C::ServerError, "40003", true),
        ("INTERNAL_ERROR", C::ServerError, "40003", true),
        ("QUERY_TIMEOUT", C::Timeout, "40003", true),
        ("REQUEST_RUNNING_TOO_LONG", C::Timeout, "40003", true),
        ("PROCESSING_HALTED", C::Collateral, "HV000", true),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", C::Collateral, "HV000", true),
        ("MIXED_DML_OPERATION", C::Collateral, "HV000", true),
        ("ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE", C::Stale, "40001", false),
        ("MODIFIED", C::Stale, "40001", false),
        ("UNSUPPORTED_API_VERSION", C::Bug, "XX000", false),
        ("INVALID_QUERY_LOCATOR", C::Bug, "XX000", false),
        ("MALFORMED_QUERY", C::Bug, "XX000", false),
    ]
};

#[test]
fn every_code_has_its_class_sqlstate_outcome_and_retry_rule() {
    let listed: Vec<&str> = INSERTS.iter().map(|row| row.0).collect();
    let known: Vec<&str> = CODES.iter().map(|row| row.0).collect();
    assert_eq!(listed, known, "each code is tested, and none twice");
    for (code, class, sqlstate, again) in INSERTS {
        let UpstreamError { failure, retry } =
            refused(Op::Insert, &[("account_id", "001000000000001AAA")], code, "no", &[]);
        assert_eq!((failure.class, failure.sqlstate.as_str()), (*class, *sqlstate), "{code}");
        assert_eq!(retry != RetryRule::Never, *again, "{code}");
        let unknown = matches!(class, ErrorClass::ServerError | ErrorClass::Timeout);
        assert_eq!(failure.outcome, if unknown { Outcome::Unknown } else { Outcome::NotApplied }, "{code}");
        assert_eq!(failure.upstream_code.as_deref(), Some(*code));
        assert_eq!((failure.schema.as_deref(), failure.table.as_deref()), (Some("salesforce"), Some("contact")));
        let outcome = if unknown { "unknown" } else { "not_applied" };
        let tail = format!("[upstream=salesforce code={code} http=400 mutation={MUTATION} outcome={outcome}]");
        assert!(failure.detail.as_deref().unwrap().ends_with(&tail), "{:?}", failure.detail);
        assert!(!failure.message.is_empty());
        // What clients try again by themselves must not have been applied in part.
        assert!(!(failure.sqlstate.starts_with("40001") && failure.outcome == Outcome::Unknown));
        for never in ["28", "57P", "08"] {
            assert!(!failure.sqlstate.starts_with(never), "{code} would be read as trouble of this server");
        }
    }
}

/// Code, the vendor's message and fields; then column, constraint, message, and how the detail begins.
type Words = (
    &'static str,
    &'static str,
    &'static [&'static str],
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
    &'static str,
);

const WORDS: &[Words] = &[
    (
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [LastName]",
        &["LastName"],
        Some("last_name"),
        None,
        "null value in column \"last_name\" of relation \"contact\" violates not-null constraint",
        "Upstream says: ",
    ),
    (
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [LastName]",
        &[],
        Some("last_name"),
        None,
        "null value in column \"last_name\" of relation \"contact\" violates not-null constraint",
        "Upstream says: ",
    ),
    (
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "too young",
        &[],
        None,
        Some("contact_field_custom_validation_exception"),
        "new row for relation \"contact\" violates check constraint \"contact_field_custom_validation_exception\"",
        "Upstream says: too young [",
    ),
    (
        "INVALID_EMAIL_ADDRESS",
        "Email: invalid",
        &["Email"],
        Some("email"),
        Some("contact_email_invalid_email_address"),
        "new row for relation \"contact\" violates check constraint \"contact_email_invalid_email_address\"",
        "Upstream says",
    ),
    (
        "DUPLICATE_VALUE",
        "duplicate value found: Email duplicates value on record with id: 003000000000002",
        &[],
        Some("email"),
        Some("contact_email_key"),
        "duplicate key value violates unique constraint \"contact_email_key\"",
        "Key (email)=(a@b.c) already exists. ",
    ),
    (
        "FIELD_INTEGRITY_EXCEPTION",
        "Account ID: wrong",
        &["AccountId"],
        Some("account_id"),
        Some("contact_account_id_fkey"),
        "insert or update on table \"contact\" violates foreign key constraint \"contact_account_id_fkey\"",
        "Key (account_id)=(001000000000001AAA) is not present in table \"account\". ",
    ),
    (
        "MALFORMED_ID",
        "Account ID: id value of incorrect type: 001000000000001AAA",
        &[],
        Some("account_id"),
        Some("contact_account_id_fkey"),
        "insert or update on table \"contact\" violates foreign key constraint \"contact_account_id_fkey\"",
        "Key (account_id)=(001000000000001AAA) is not present in table \"account\". ",
    ),
    (
        "STRING_TOO_LONG",
        "Last Name: data value too large: x (max length=80)",
        &["LastName"],
        Some("last_name"),
        None,
        "value too long for type character varying(80)",
        "Upstream says",
    ),
    (
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        "bad",
        &["Amount__c"],
        Some("amount"),
        None,
        "invalid input syntax for type numeric(18,2): \"1e9\"",
        "Upstream says",
    ),
    (
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "no: [Total__c]",
        &["Total__c"],
        Some("total"),
        None,
        "column \"total\" can only be updated to DEFAULT",
        "Upstream says",
    ),
    (
        "INVALID_FIELD",
        "No such column 'Email' on sobject of type Contact",
        &[],
        Some("email"),
        None,
        "column \"email\" of relation \"contact\" does not exist upstream",
        "Upstream says",
    ),
    ("CUSTOM_APEX_ERROR", "we do not do that", &[], None, None, "we do not do that", "[upstream=salesforce"),
];

#[test]
fn the_words_are_those_that_object_mappers_parse() {
    let values: &[(&str, &str)] =
        &[("email", "a@b.c"), ("account_id", "001000000000001AAA"), ("birthdate", "2026-01-31"), ("amount", "1e9")];
    for (code, said, fields, column, constraint, message, detail) in WORDS {
        let failure = refused(Op::Insert, values, code, said, fields).failure;
        assert_eq!(failure.message, *message, "{code}");
        assert_eq!(failure.column.as_deref(), *column, "{code}");
        assert_eq!(failure.constraint.as_deref(), *constraint, "{code}");
        assert!(failure.detail.as_deref().unwrap().starts_with(detail), "{code}: {:?}", failure.detail);
    }
    let duplicate = "duplicate value found: Email duplicates value on record with id: 003000000000002";
    let failure = refused(Op::Insert, values, "DUPLICATE_VALUE", duplicate, &[]).failure;
    assert_eq!(failure.hint.as_deref(), Some("The other record is 003000000000002."));
    let failure = refused(Op::Insert, values, "INTERNAL_ERROR", "oops", &[]).failure;
    assert_eq!(failure.message, format!("outcome of mutation {MUTATION} is not known yet"));
}

#[test]
fn a_bad_date_and_a_field_without_permission_have_their_own_sqlstate() {
    let birthdate = refused(Op::Insert, &[("birthdate", "x")], "JSON_PARSER_ERROR", "bad", &["Birthdate"]).failure;
    assert_eq!((birthdate.sqlstate.as_str(), birthdate.column.as_deref()), ("22007", Some("birthdate")));
    let denied = refused(Op::Update, &[("email", "x")], "INVALID_FIELD_FOR_INSERT_UPDATE", "no", &["Email"]).failure;
    assert_eq!((denied.class, denied.sqlstate.as_str()), (ErrorClass::Permission, "42501"));
    assert_eq!(denied.message, "permission denied for column \"email\" of relation \"contact\"");
}

#[test]
fn a_row_that_is_gone_is_a_concurrent_delete() {
    for code in ["ENTITY_IS_DELETED", "NOT_FOUND", "RECORD_NOT_FOUND", "MISSING_RECORD", "INVALID_CROSS_REFERENCE_KEY"]
    {
        let UpstreamError { failure, retry } = refused(Op::Update, &[("email", "x")], code, "gone", &[]);
        assert_eq!(
            (failure.class, failure.sqlstate.as_str(), retry),
            (ErrorClass::NotFound, "40001", RetryRule::Never)
        );
        assert_eq!(failure.message, "could not serialize access due to concurrent delete");
    }
    let parent =
        refused(Op::Update, &[("account_id", "001000000000001AAA")], "ENTITY_IS_DELETED", "gone", &["AccountId"]);
    assert_eq!(parent.failure.sqlstate, "23503");
    let object = refused(Op::Insert, &[("email", "x")], "NOT_FOUND", "gone", &[]);
    assert_eq!(object.failure.sqlstate, "42P01");
}

#[test]
fn a_refused_delete_names_the_row() {
    let failure = refused(Op::Delete, &[], "DELETE_FAILED", "it is associated with cases", &[]).failure;
    assert_eq!(failure.sqlstate, "23503");
    assert!(failure.message.contains("on table \"contact\" violates foreign key constraint \"contact_delete_failed\""));
    assert!(failure.detail.unwrap().starts_with("Key (id)=(003000000000001AAA) is still referenced. "));
}

#[test]
fn a_trigger_that_failed_for_a_passing_reason_is_tried_again() {
    let outer = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY";
    for (nested, sqlstate, retry) in [
        ("UNABLE_TO_LOCK_ROW", "55P03", RetryRule::Backoff),
        ("SERVER_UNAVAILABLE", "HV00N", RetryRule::Backoff),
        ("REQUIRED_FIELD_MISSING", "P0001", RetryRule::Never),
        ("INTERNAL_ERROR", "P0001", RetryRule::Never),
    ] {
        let message = format!("T: execution of AfterInsert caused by: first error: {nested}, something: []");
        let error = refused(Op::Insert, &[], outer, &message, &[]);
        assert_eq!((error.failure.sqlstate.as_str(), error.retry), (sqlstate, retry), "{nested}");
        assert_eq!(error.failure.outcome, Outcome::NotApplied, "the answer says that it was rolled back");
        assert!(error.failure.detail.unwrap().contains(&format!(" nested={nested} ")));
    }
}

#[test]
fn of_several_errors_the_culprit_counts() {
    let (table, row) = (table(), row(&[]));
    let about =
        About { source: "salesforce", table: Some(&table), op: Some(Op::Insert), row: Some(&row), row_exists: false };
    let errors = VendorError::all_of(&json!([
        {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": "rolled back"},
        {"statusCode": "STRING_TOO_LONG", "message": "long", "fields": ["LastName"]},
    ]));
    assert_eq!(of_errors(&about, 200, &errors).failure.class, ErrorClass::TooLong);
}

/// Status, `Retry-After` and body; then class, outcome, retry rule, pause.
type Judged = (u16, Option<Duration>, &'static str, ErrorClass, Outcome, RetryRule, Option<Duration>);

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

const STATUSES: &[Judged] = &[
    (502, None, "<html>", ErrorClass::ServerError, Outcome::Unknown, RetryRule::Backoff, None),
    (
        503,
        seconds(7),
        "",
        ErrorClass::ServerError,
        Outcome::Unknown,
        RetryRule::After(Duration::from_secs(7)),
        seconds(7),
    ),
    (
        503,
        None,
        r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"x"}]"#,
        ErrorClass::Unavailable,
        Outcome::NotApplied,
        RetryRule::Backoff,
        None,
    ),
    (
        429,
        seconds(3),
        "",
        ErrorClass::RateLimited,
        Outcome::NotApplied,
        RetryRule::After(Duration::from_secs(3)),
        seconds(3),
    ),
    (429, None, "", ErrorClass::RateLimited, Outcome::NotApplied, RetryRule::After(Duration::from_secs(5)), seconds(5)),
    (
        403,
        None,
        r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#,
        ErrorClass::RateLimited,
        Outcome::NotApplied,
        RetryRule::After(Duration::from_secs(60)),
        seconds(60),
    ),
    (
        403,
        None,
        r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentRequests limit"}]"#,
        ErrorClass::RateLimited,
        Outcome::NotApplied,
        RetryRule::After(Duration::from_secs(1)),
        seconds(1),
    ),
    (412, None, "", ErrorClass::Stale, Outcome::NotApplied, RetryRule::Never, None),
    (401, None, "<html>", ErrorClass::Auth, Outcome::NotApplied, RetryRule::Never, None),
    (404, None, "", ErrorClass::NotFound, Outcome::NotApplied, RetryRule::Never, None),
    (
        400,
        None,
        r#"[{"errorCode":"SOMETHING_NEW","message":"x"}]"#,
        ErrorClass::BusinessRule,
        Outcome::NotApplied,
        RetryRule::Never,
        None,
    ),
    (
        500,
        None,
        r#"[{"errorCode":"SOMETHING_NEW","message":"x"}]"#,
        ErrorClass::ServerError,
        Outcome::Unknown,
        RetryRule::Backoff,
        None,
    ),
    (302, None, "", ErrorClass::ServerError, Outcome::Unknown, RetryRule::Backoff, None),
];

#[test]
fn answers_without_a_code_are_judged_by_status() {
    let (table, row) = (table(), row(&[]));
    let about =
        About { source: "salesforce", table: Some(&table), op: Some(Op::Update), row: Some(&row), row_exists: false };
    for (status, retry_after, body, class, outcome, retry, pause) in STATUSES.iter().copied() {
        let answer = Response { status, retry_after, body: body.as_bytes().to_vec() };
        let (error, paused) = of_answer(&about, &answer);
        assert_eq!(
            (error.failure.class, error.failure.outcome, error.retry, paused),
            (class, outcome, retry, pause),
            "{status} {body}"
        );
    }
}
