//! What a stand-in must say and do to be served: everything that differs between vendors, and nothing else.

use std::fmt::Debug;

use serde_json::{Map, Value};

use crate::journal::Journal;
use crate::message::{Request, Response};

/// One vendor's API, with its records. All functions may be called at any time from any thread.
///
/// Sockets, faults, held requests and the request journal belong to the sandbox; a vendor only turns requests into
/// responses and effects. It does not wait and does no I/O.
pub trait Vendor: Debug + Send + Sync + 'static {
    /// What a request asks for, and which objects it names: by this, fault rules choose.
    fn operation(&self, request: &Request) -> Operation;

    /// Whether the caller is known; else the refusal. No fault but a reset happens to a refused request.
    fn admit(&self, operation: &Operation, request: &Request) -> Result<(), Response>;

    /// Carries a request out, once, and writes its effects to the journal in the order in which they happened.
    fn execute(&self, call: &Call<'_>) -> Response;

    /// How a refusal looks on this vendor's wire. Nothing is applied by it.
    fn refuse(&self, refusal: &Refusal) -> Response;

    /// What happened to the records.
    fn journal(&self) -> &Journal;

    /// Fills it with generated records, if it has any; they leave no effects. Called when there is no saved state.
    fn seed(&self) -> Result<(), String>;

    /// Everything that must survive a restart: records and counters, not the journal.
    fn save(&self) -> Value;

    /// Takes over what `save` gave.
    fn load(&self, saved: &Value) -> Result<(), String>;

    /// All records of an object as the API shows them, by id; with `deleted` also those that are deleted, if the
    /// vendor keeps them. None for an unknown object.
    fn records(&self, object: &str, deleted: bool) -> Vec<Map<String, Value>>;

    /// One record that is not deleted.
    fn record(&self, object: &str, id: &str) -> Option<Map<String, Value>>;

    /// A change by another user, outside the API but under the same rules. Returns the record's id, or the refusal
    /// as `code: text`.
    fn third_party(&self, object: &str, change: ThirdPartyChange<'_>) -> Result<String, String>;

    /// A valid access token, without a login.
    fn issue_token(&self) -> String;

    /// Makes every access token invalid that was given out before. A vendor with one fixed token does nothing.
    fn expire_tokens(&self);

    /// An admin call of this vendor's own: `path` is what follows `/admin/`, decoded; `body` is null if there is none.
    fn admin(&self, method: &str, path: &[&str], body: Value) -> Result<Value, AdminRefusal> {
        let _ = body;
        Err(AdminRefusal::Unknown(format!("{method} {}", path.join("/"))))
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `token`, `versions`, `limits`, `describe`, `query`, `read`, `retrieve`, `deleted`, `updated`, `create`,
    /// `update`, `delete`, `upsert`, `composite`, or `unknown`. The five from `create` on are writes.
    pub word: &'static str,
    /// API names of the objects that it names.
    pub objects: Vec<String>,
}

/// A request to be carried out.
#[derive(Debug)]
pub struct Call<'r> {
    /// Its `seq` in the request journal; effects name it.
    pub number: u64,
    /// The request.
    pub request: &'r Request,
    /// What the vendor took it for.
    pub operation: &'r Operation,
    /// Rows that must be refused, while the others are applied.
    pub refuse: Option<&'r RowRefusal>,
}

/// Rows of a batch that the fault `reject` with `rows` refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct RowRefusal {
    /// Their places in the batch, from 0.
    pub rows: Vec<usize>,
    /// What is said of each of them.
    pub rejection: Rejection,
}

/// A refusal that a test has worded.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// HTTP status, where the whole request is refused.
    pub status: u16,
    /// The vendor's code; none for one that says nothing in particular.
    pub code: Option<String>,
    /// Text for people.
    pub message: String,
    /// Fields at fault.
    pub fields: Vec<String>,
}

/// Why a request is refused without being looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The header `X-Sandbox-Fault` could not be read; the mistake.
    UnreadableFault(String),
    /// The body is longer than the sandbox reads, or broke off.
    BodyTooLarge,
    /// The fault `reject`.
    Rejected(Rejection),
    /// The fault `server_error`: this status, and whether the request was applied all the same.
    ServerError {
        /// 500 to 599.
        status: u16,
        /// It was applied.
        applied: bool,
    },
    /// The vendor is away and has done nothing.
    Unavailable,
    /// The fault `over_quota`.
    OverQuota {
        /// The quota of a day, rather than the one of concurrent requests.
        daily: bool,
    },
    /// The fault `limit_429`.
    RateLimited {
        /// Seconds.
        retry_after_s: u64,
    },
    /// The fault `locked`.
    Locked,
}

/// A change by another user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThirdPartyChange<'c> {
    /// A new record of these fields.
    Create(&'c Map<String, Value>),
    /// New values of these fields.
    Update(&'c str, &'c Map<String, Value>),
    /// The record of this id goes.
    Delete(&'c str),
}

/// Why an admin call of a vendor's own was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminRefusal {
    /// 404.
    #[error("there is no admin call {0}")]
    Unknown(String),
    /// 422: the body has another shape.
    #[error("{0}")]
    Malformed(String),
    /// 400: the vendor's own rules forbid it.
    #[error("{0}")]
    Refused(String),
}
