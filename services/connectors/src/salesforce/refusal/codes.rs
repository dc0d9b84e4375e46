//! The vendor's codes. Names: StatusCode and ExceptionCode of the partner WSDL, but for `NOT_FOUND` and
//! `PROCESSING_HALTED`, which only REST answers carry.

use upwrite_events::ErrorClass;

use ErrorClass::{
    Auth, BadValue, Bug, BusinessRule, Check, Collateral, ForeignKey, InUse, Locked, NotFound, NotNull, OutOfRange,
    Permission, Quota, RateLimited, ReadOnly, Restrict, ServerError, Stale, StorageFull, Timeout, TooLong, Unavailable,
    Unique, UnknownColumn, UnknownTable, Unsupported,
};

/// Code → class, before the row and the message are looked at (`classify`).
pub(crate) const CODES: &[(&str, ErrorClass)] = &[
    ("REQUIRED_FIELD_MISSING", NotNull),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", Check),
    ("FIELD_INTEGRITY_EXCEPTION", Check),
    ("FIELD_FILTER_VALIDATION_EXCEPTION", Check),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", Check),
    ("INVALID_EMAIL_ADDRESS", Check),
    ("INVALID_CURRENCY_ISO", Check),
    ("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", Check),
    ("STRING_TOO_LONG", TooLong),
    ("NUMBER_OUTSIDE_VALID_RANGE", OutOfRange),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", BadValue),
    ("JSON_PARSER_ERROR", BadValue),
    ("POST_BODY_PARSE_ERROR", BadValue),
    ("INVALID_DATE_FORMAT", BadValue),
    ("MALFORMED_ID", ForeignKey),
    ("INVALID_CROSS_REFERENCE_KEY", ForeignKey),
    ("INVALID_CROSS_REFERENCE_TYPE_FOR_FIELD", ForeignKey),
    ("DUPLICATE_VALUE", Unique),
    ("DUPLICATE_EXTERNAL_ID", Unique),
    ("DUPLICATE_USERNAME", Unique),
    ("DUPLICATE_DEVELOPER_NAME", Unique),
    ("DUPLICATES_DETECTED", Unique),
    ("INVALID_FIELD", UnknownColumn),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", ReadOnly),
    ("FIELD_NOT_UPDATABLE", ReadOnly),
    ("INVALID_TYPE", UnknownTable),
    ("INVALID_TYPE_FOR_OPERATION", Unsupported),
    ("ENTITY_IS_DELETED", NotFound),
    ("NOT_FOUND", NotFound),
    ("RECORD_NOT_FOUND", NotFound),
    ("MISSING_RECORD", NotFound),
    ("ENTITY_IS_LOCKED", InUse),
    ("ENTITY_IS_ARCHIVED", InUse),
    ("RECORD_IN_USE_BY_WORKFLOW", InUse),
    ("ALREADY_IN_PROCESS", InUse),
    ("DELETE_FAILED", Restrict),
    ("DEPENDENCY_EXISTS", Restrict),
    ("DELETE_REQUIRED_ON_CASCADE", Restrict),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", BusinessRule),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", BusinessRule),
    ("CUSTOM_APEX_ERROR", BusinessRule),
    ("FLOW_EXCEPTION", BusinessRule),
    ("INSUFFICIENT_ACCESS", Permission),
    ("INSUFFICIENT_ACCESS_OR_READONLY", Permission),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Permission),
    ("CANNOT_DELETE_OWNER", Permission),
    ("TRANSFER_REQUIRES_READ", Permission),
    ("FUNCTIONALITY_NOT_ENABLED", Permission),
    ("API_DISABLED_FOR_ORG", Permission),
    ("TXN_SECURITY_METERING_ERROR", Permission),
    ("TXN_SECURITY_NO_ACCESS", Permission),
    ("INVALID_SESSION_ID", Auth),
    ("UNABLE_TO_LOCK_ROW", Locked),
    ("REQUEST_LIMIT_EXCEEDED", RateLimited),
    ("LIMIT_EXCEEDED", RateLimited),
    ("TOO_MANY_APEX_REQUESTS", RateLimited),
    ("TOO_MANY_JOBS", RateLimited),
    ("STORAGE_LIMIT_EXCEEDED", StorageFull),
    ("EXCEEDED_QUOTA", Quota),
    ("LICENSE_LIMIT_EXCEEDED", Quota),
    ("SERVER_UNAVAILABLE", Unavailable),
    ("API_CURRENTLY_DISABLED", Unavailable),
    ("ORG_IN_MAINTENANCE", Unavailable),
    ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", Unavailable),
    ("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", Unavailable),
    ("SSO_SERVICE_DOWN", Unavailable),
    ("UNKNOWN_EXCEPTION", ServerError),
    ("INTERNAL_ERROR", ServerError),
    ("QUERY_TIMEOUT", Timeout),
    ("REQUEST_RUNNING_TOO_LONG", Timeout),
    ("PROCESSING_HALTED", Collateral),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", Collateral),
    ("MIXED_DML_OPERATION", Collateral),
    ("ENTITY_FAILED_IFLASTMODIFIED_ON_UPDATE", Stale),
    ("MODIFIED", Stale),
    ("UNSUPPORTED_API_VERSION", Bug),
    ("INVALID_QUERY_LOCATOR", Bug),
    ("MALFORMED_QUERY", Bug),
];

/// The class of a code; `None`: a code that this version does not know.
pub(crate) fn class_of_code(code: &str) -> Option<ErrorClass> {
    CODES.iter().find(|(name, _)| *name == code).map(|(_, class)| *class)
}

/// The class of an answer that carries no code, or one that this version does not know.
pub(crate) fn class_of_status(status: u16) -> ErrorClass {
    match status {
        401 => Auth,
        403 => Permission,
        404 | 410 => NotFound,
        412 => Stale,
        // 406 and 420 come, mostly without a body, from overloaded front ends.
        406 | 420 | 429 => RateLimited,
        // A refusal with a code of its own is the vendor's business rule, whatever it is.
        200..=299 => BusinessRule,
        // A front end gave up waiting: what it had passed on may be at work.
        408 | 499 => Timeout,
        400..=499 => Bug,
        _ => ServerError,
    }
}
