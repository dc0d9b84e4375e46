//! Ledger behind the trait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use upwrite_connectors::clock::{Clock, system_clock, until_now};
use upwrite_connectors::http::{
    Body, Method, Request, Response, SendError, Transport, TransportOptions, Url, usual_pause,
};
use upwrite_connectors::outcome::{About, local, unaccounted, unanswered};
use upwrite_connectors::value::Unfit;
use upwrite_connectors::{
    Budget, Call, CallReport, CallRow, Capabilities, Connector, Idempotency, LookupResult, Page, RetryRule, RowResult,
    TimeLimit, UpstreamError,
};
use upwrite_events::{ColumnSpec, ErrorClass, Failure, LocalInterval, ObservedRow, Op, Outcome, TableSpec};

use super::body::{Record, is_key, members, row};
use super::describe::{Schema, table_spec};
use super::{Config, problem, value};

/// Keys of one request (vendor's limit).
const KEYS_PER_READ: usize = 50;
const PAGE_ROWS: usize = 200;
const MAX_CONCURRENCY: usize = 8;

/// One account.
#[derive(Debug)]
pub struct Ledger {
    config: Config,
    base: Url,
    transport: Transport,
}

/// The answer of a list.
#[derive(Deserialize)]
struct List {
    data: Vec<Record>,
    #[serde(default)]
    next: Option<i64>,
}

impl Ledger {
    /// Every request takes its token of `budget`; asks nobody yet.
    pub fn new(config: Config, budget: Budget) -> Result<Self, String> {
        let base = Url::parse(&config.url).map_err(|error| format!("url: {error}"))?;
        let options = TransportOptions {
            source: &config.name,
            base_url: &config.url,
            connect_timeout: config.request_timeout / 2,
            usage_header: None,
        };
        let transport = Transport::new(&options, budget)?;
        Ok(Self { base, transport, config })
    }

    fn clock(&self) -> Clock {
        system_clock()
    }

    fn about<'a>(&'a self, table: &'a TableSpec) -> About<'a> {
        About::read(&self.config.name, table)
    }

    async fn send(&self, method: Method, path: &str, request: Sent<'_>) -> Result<Response, SendError> {
        let mut url = self.base.join(path).map_err(|error| SendError::Unsent(error.to_string()))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let request = Request {
            bearer: Some(self.config.token.clone()),
            headers: request.idempotency_key.map(|key| ("Idempotency-Key", key.to_owned())).into_iter().collect(),
            body: request.body.map_or(Body::None, Body::Json),
            ..Request::new(method, url)
        };
        let mut limit = match request.method {
            Method::GET => TimeLimit::of_read(self.config.request_timeout),
            _ => TimeLimit::of_write(self.config.request_timeout),
        };
        self.transport.send(request, &mut limit, usual_pause).await
    }

    async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        about: &About<'_>,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, UpstreamError> {
        let sent = Sent { query, ..Sent::default() };
        let response = self.send(Method::GET, path, sent).await.map_err(|error| unanswered(about, &error))?;
        if !response.is_success() {
            return Err(problem::of_response(about, &response));
        }
        let unreadable = |_| unaccounted(about, response.status, "the answer cannot be read");
        serde_json::from_slice(&response.body).map_err(unreadable)
    }

    async fn write(&self, call: &Call<'_>, written: &CallRow) -> RowResult {
        let about = About { op: Some(call.op), row: Some(written), ..self.about(call.table) };
        let json = match members(call.table, call.op, written) {
            Ok(json) => json,
            Err((column, unfit)) => return RowResult::Failed(local(&about, column.as_deref(), &unfit)),
        };
        let (method, path, body) = match call.op {
            Op::Insert => (Method::POST, format!("v1/{}", call.table.object), Some(json)),
            Op::Update => (Method::PATCH, format!("v1/{}/{}", call.table.object, written.key), Some(json)),
            Op::Delete => (Method::DELETE, format!("v1/{}/{}", call.table.object, written.key), None),
        };
        let idempotency_key = (call.op == Op::Insert).then_some(written.idempotency_key.as_str());
        let sent = Sent { body, idempotency_key, ..Sent::default() };
        let response = match self.send(method, &path, sent).await {
            Ok(response) => response,
            Err(error) => return RowResult::Failed(unanswered(&about, &error)),
        };
        if call.op == Op::Delete && (response.is_success() || response.status == 404) {
            return RowResult::Applied { key: written.key.clone(), image: None, vendor_version: None };
        }
        if !response.is_success() {
            return RowResult::Failed(problem::of_response(&about, &response));
        }
        let record = serde_json::from_slice::<Record>(&response.body).ok();
        match record.and_then(|record| row(call.table, &record)) {
            Some(row) => {
                RowResult::Applied { key: row.key, image: Some(row.image), vendor_version: row.vendor_version }
            }
            None => RowResult::Failed(unaccounted(&about, response.status, "the answer does not show the record")),
        }
    }
}

/// What differs between requests.
#[derive(Default)]
struct Sent<'a> {
    query: &'a [(&'a str, String)],
    body: Option<String>,
    idempotency_key: Option<&'a str>,
}

#[async_trait]
impl Connector for Ledger {
    fn source(&self) -> &str {
        &self.config.name
    }

    fn capabilities(&self, _: &TableSpec) -> Capabilities {
        Capabilities {
            insert: Idempotency::Header,
            update: Idempotency::Natural,
            delete: Idempotency::Natural,
            max_batch: 1,
            atomic_batches: false,
            request_timeout: self.config.request_timeout,
            late_effect: self.config.late_effect,
            max_concurrency: MAX_CONCURRENCY,
            keys_per_read: KEYS_PER_READ,
        }
    }

    fn same(&self, column: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
        value::same(column, sent, seen)
    }

    async fn discover(&self) -> Result<Vec<TableSpec>, UpstreamError> {
        let schema: Schema = self.get(&About::source(&self.config.name), "v1/schema", &[]).await?;
        let mut tables = Vec::new();
        for name in &self.config.collections {
            let collection = schema.collections.iter().find(|collection| collection.name == *name);
            match collection.and_then(|collection| table_spec(&self.config.name, collection)) {
                Some(table) => tables.push(table),
                None => {
                    let source = &self.config.name;
                    let message = format!("source \"{source}\": there is no collection {name} with a key");
                    let failure = Failure::new(ErrorClass::Unsupported, Outcome::NotApplied, "0A000", message);
                    return Err(UpstreamError { failure, retry: RetryRule::Never });
                }
            }
        }
        Ok(tables)
    }

    async fn page(&self, table: &TableSpec, cursor: Option<&str>) -> Result<Page, UpstreamError> {
        let (clock, about) = (self.clock(), self.about(table));
        let begun_us = clock();
        let mut query = vec![("limit", PAGE_ROWS.to_string())];
        query.extend(cursor.map(|cursor| ("after", cursor.to_owned())));
        let list: List = self.get(&about, &format!("v1/{}", table.object), &query).await?;
        let rows = list.data.iter().filter_map(|record| row(table, record));
        let rows = rows
            .map(|row| ObservedRow { key: row.key, image: Some(row.image), vendor_version: row.vendor_version })
            .collect();
        let next = list.next.map(|next| next.to_string());
        if next.is_some() && next.as_deref() == cursor {
            return Err(unaccounted(&about, 200, "the next page is this one"));
        }
        Ok(Page { rows, seen: until_now(&clock, begun_us), next })
    }

    async fn read(
        &self,
        table: &TableSpec,
        keys: &[String],
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let clock = self.clock();
        let begun_us = clock();
        let legal: Vec<&str> = keys.iter().map(String::as_str).filter(|key| is_key(key)).collect();
        let mut present = BTreeMap::new();
        for ids in legal.chunks(KEYS_PER_READ) {
            let path = format!("v1/{}", table.object);
            let list: List = self.get(&self.about(table), &path, &[("ids", ids.join(","))]).await?;
            let rows = list.data.iter().filter_map(|record| row(table, record));
            present.extend(rows.map(|row| (row.key.clone(), LookupResult::from(row))));
        }
        let results = keys.iter().map(|key| present.get(key).cloned().unwrap_or(LookupResult::Absent)).collect();
        Ok((results, until_now(&clock, begun_us)))
    }

    async fn call(&self, call: Call<'_>) -> CallReport {
        let clock = self.clock();
        let begun_us = clock();
        let rows = match call.rows {
            [row] => vec![self.write(&call, row).await],
            rows => {
                let unfit = Unfit::new(ErrorClass::Bug, "XX000", "a call of more than one row");
                let fail = |row| {
                    let about = About { op: Some(call.op), row: Some(row), ..self.about(call.table) };
                    RowResult::Failed(local(&about, None, &unfit))
                };
                rows.iter().map(fail).collect()
            }
        };
        CallReport { rows, seen: until_now(&clock, begun_us) }
    }

    /// Ledger does not say which record a key made: sending the create again does.
    async fn find_created(
        &self,
        _: &TableSpec,
        rows: &[CallRow],
        _: i64,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let clock = self.clock();
        Ok((vec![LookupResult::Ambiguous; rows.len()], until_now(&clock, clock())))
    }
}
