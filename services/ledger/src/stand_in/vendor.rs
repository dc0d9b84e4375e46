//! Ledger as the sandbox serves it: which call a request is, and what it does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use upwrite_sandbox::{Call, Journal, Operation, Refusal, Request, Response, ThirdPartyChange, Vendor, decode};

use super::books::{Actor, Books};
use super::fields::{COLLECTION, Sent, schema, sent};
use super::problem::{self, Problem};

/// Ids in one read by id, and entries on one page.
const MOST_IDS: usize = 50;
const MOST_ON_PAGE: usize = 200;

/// How a Ledger is made.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// The only token that is accepted.
    pub token: String,
    /// Generated entries, with the ids from 1 on.
    pub entries: usize,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { token: "ledger-token".to_owned(), entries: 5 }
    }
}

/// A Ledger account with its entries.
#[derive(Debug, Default)]
pub struct Ledger {
    options: LedgerOptions,
    books: Mutex<Books>,
    journal: Journal,
}

enum Route {
    Schema,
    Create,
    Update(i64),
    Delete(i64),
    /// By `ids`.
    Retrieve,
    Page,
    Unknown,
}

impl Route {
    fn of(request: &Request) -> Self {
        let parts: Vec<String> = request.path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["v1", "schema"]) => Self::Schema,
            ("POST", ["v1", COLLECTION]) => Self::Create,
            ("GET", ["v1", COLLECTION]) if request.param("ids").is_some() => Self::Retrieve,
            ("GET", ["v1", COLLECTION]) => Self::Page,
            (method, ["v1", COLLECTION, id]) => match (method, id.parse()) {
                ("PATCH", Ok(id)) => Self::Update(id),
                ("DELETE", Ok(id)) => Self::Delete(id),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Schema => "describe",
            Self::Create => "create",
            Self::Update(_) => "update",
            Self::Delete(_) => "delete",
            Self::Retrieve => "retrieve",
            Self::Page => "query",
            Self::Unknown => "unknown",
        }
    }
}

impl Ledger {
    /// A Ledger without entries; they come with `seed` or `load`.
    pub fn new(options: LedgerOptions) -> Self {
        Self { options, ..Self::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic in there leaves an entry written or not, never half.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, call: &Call<'_>) -> Result<Response, Problem> {
        if let Some(refusal) = call.refuse.filter(|refusal| refusal.rows.contains(&0)) {
            // A call has one record, so its only row is the whole.
            return Err(Problem::from(&refusal.rejection));
        }
        let request = call.request;
        let key = request.header("idempotency-key");
        let actor = Actor { journal: &self.journal, request: Some(call.number), idempotency_key: key };
        match Route::of(request) {
            Route::Schema => Ok(Response::ok(schema())),
            Route::Create if key.is_none_or(str::is_empty) => {
                Err(Problem::bad_value("the header Idempotency-Key is required"))
            }
            Route::Create => {
                let (record, replayed) = self.books().create(actor, &sent(&request.body)?)?;
                let response = Response::ok(Value::Object(record)).status(201);
                Ok(if replayed { response.header("idempotency-replayed", "true".to_owned()) } else { response })
            }
            Route::Update(id) => {
                let record = self.books().update(actor, id, &sent(&request.body)?)?;
                Ok(Response::ok(Value::Object(record)))
            }
            Route::Delete(id) => self.books().delete(actor, id).map(|()| Response::empty(204)),
            Route::Retrieve => self.retrieve(request.param("ids").unwrap_or_default()),
            Route::Page => self.page(request),
            Route::Unknown => Err(Problem::not_found()),
        }
    }

    fn retrieve(&self, ids: &str) -> Result<Response, Problem> {
        let ids: Result<Vec<i64>, _> = ids.split(',').filter(|id| !id.is_empty()).map(str::parse).collect();
        let ids = ids.map_err(|_| Problem::bad_value("ids are integers with commas between them"))?;
        if ids.len() > MOST_IDS {
            return Err(Problem::bad_value(format!("at most {MOST_IDS} ids")).limit(MOST_IDS));
        }
        let books = self.books();
        let data: Vec<_> = ids.iter().filter_map(|id| books.get(*id)).collect();
        Ok(Response::ok(json!({ "data": data })))
    }

    fn page(&self, request: &Request) -> Result<Response, Problem> {
        let after = integer(request, "after", 0)?;
        let limit = integer(request, "limit", 50)?;
        let limit = usize::try_from(limit).ok().filter(|limit| (1..=MOST_ON_PAGE).contains(limit));
        let limit = limit.ok_or_else(|| Problem::bad_value("limit is 1 to 200").limit(MOST_ON_PAGE))?;
        let books = self.books();
        let (data, next) = books.after(after, limit);
        Ok(Response::ok(json!({ "data": data, "next": next })))
    }
}

fn integer(request: &Request, name: &str, default: i64) -> Result<i64, Problem> {
    let parsed = request.param(name).map_or(Ok(default), str::parse);
    parsed.map_err(|_| Problem::bad_value(format!("{name} is an integer")))
}

fn as_sent(fields: &Map<String, Value>) -> Result<Sent, Problem> {
    let raw = fields.iter().map(|(name, value)| Ok((name.clone(), to_raw_value(value)?)));
    raw.collect::<Result<Sent, serde_json::Error>>().map_err(|e| Problem::bad_value(e.to_string()))
}

impl Vendor for Ledger {
    fn operation(&self, request: &Request) -> Operation {
        let route = Route::of(request);
        let objects = match route {
            Route::Schema | Route::Unknown => Vec::new(),
            _ => vec![COLLECTION.to_owned()],
        };
        Operation { word: route.word(), objects }
    }

    fn admit(&self, _operation: &Operation, request: &Request) -> Result<(), Response> {
        let token = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        if token == Some(self.options.token.as_str()) {
            return Ok(());
        }
        Err(Problem::new(401, "unauthorised", "this token is not accepted").response())
    }

    fn execute(&self, call: &Call<'_>) -> Response {
        self.carry_out(call).unwrap_or_else(|problem| problem.response())
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        problem::response(refusal)
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn seed(&self) -> Result<(), String> {
        let actor = Actor { journal: &self.journal, request: None, idempotency_key: None };
        for n in 1..=self.options.entries {
            let fields = json!({ "amount": format!("{n}.50"), "memo": format!("Generated {n}"),
                "account_name": format!("Account {n}") });
            let fields = as_sent(fields.as_object().unwrap_or(&Map::new())).map_err(|problem| problem.text())?;
            self.books().create(actor, &fields).map_err(|problem| problem.text())?;
        }
        self.journal.clear();
        Ok(())
    }

    fn save(&self) -> Value {
        self.books().save()
    }

    fn load(&self, saved: &Value) -> Result<(), String> {
        *self.books() = Books::load(saved);
        Ok(())
    }

    fn records(&self, object: &str, _deleted: bool) -> Vec<Map<String, Value>> {
        if object == COLLECTION { self.books().all().cloned().collect() } else { Vec::new() }
    }

    fn record(&self, object: &str, id: &str) -> Option<Map<String, Value>> {
        let id = id.parse().ok().filter(|_| object == COLLECTION)?;
        self.books().get(id).cloned()
    }

    fn third_party(&self, object: &str, change: ThirdPartyChange<'_>) -> Result<String, String> {
        let actor = Actor { journal: &self.journal, request: None, idempotency_key: None };
        let number = |id: &str| id.parse().ok().filter(|_| object == COLLECTION).ok_or_else(Problem::not_found);
        let done = match change {
            ThirdPartyChange::Create(_) if object != COLLECTION => Err(Problem::not_found()),
            ThirdPartyChange::Create(fields) => as_sent(fields)
                .and_then(|fields| self.books().create(actor, &fields))
                .map(|(record, _)| record["id"].to_string()),
            ThirdPartyChange::Update(id, fields) => {
                number(id).and_then(|n| self.books().update(actor, n, &as_sent(fields)?)).map(|_| id.to_owned())
            }
            ThirdPartyChange::Delete(id) => {
                number(id).and_then(|n| self.books().delete(actor, n)).map(|()| id.to_owned())
            }
        };
        done.map_err(|problem| problem.text())
    }

    fn issue_token(&self) -> String {
        self.options.token.clone()
    }

    fn expire_tokens(&self) {}
}
