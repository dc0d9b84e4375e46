//! A scripted upstream: it shows what the test has put in, holds calls back until they are let through, and fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::watch;
use upwrite_connectors::{
    Call, CallReport, CallRow, Capabilities, Connector, Idempotency, LookupResult, Page, RetryRule, UpstreamError,
};
use upwrite_event_log::PgClock;
use upwrite_events::{ErrorClass, Failure, LocalInterval, ObservedRow, Outcome, Row, TableSpec};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Page(Option<String>),
    Read(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Which process asked.
    pub(crate) by: &'static str,
    pub(crate) table: String,
    pub(crate) question: Question,
    /// Postgres's clock when the answer was made, Unix microseconds; `None`: not answered.
    pub(crate) answered_us: Option<i64>,
}

#[derive(Debug, Default)]
struct State {
    /// Keys by table.
    records: BTreeMap<String, Vec<String>>,
    asked: Vec<Asked>,
    /// Tables whose pages wait, and how many of them may pass.
    held: BTreeMap<String, usize>,
    failing: BTreeSet<String>,
}

/// Rows of one page.
const PAGE: usize = 2;

/// One source, as all processes see it.
pub(crate) struct Upstream {
    source: String,
    postgres: PgPool,
    state: watch::Sender<State>,
}

/// The same source, as one process sees it.
pub(crate) struct Client(pub(crate) &'static str, pub(crate) Arc<Upstream>);

impl Upstream {
    pub(crate) fn new(source: &str, postgres: &PgPool, tables: &[(&str, usize)]) -> Arc<Self> {
        let records = tables.iter().map(|(table, count)| {
            ((*table).to_owned(), (0..*count).map(|number| format!("{table}-{number}")).collect())
        });
        let state = State { records: records.collect(), ..State::default() };
        let state = watch::Sender::new(state);
        Arc::new(Self { source: source.to_owned(), postgres: postgres.clone(), state })
    }

    /// Pages of the table wait from now on, after this many more.
    pub(crate) fn hold_after(&self, table: &str, pages: usize) {
        self.state.send_modify(|state| {
            state.held.insert(table.to_owned(), pages);
        });
    }

    pub(crate) fn release(&self, table: &str) {
        self.state.send_modify(|state| {
            state.held.remove(table);
        });
    }

    pub(crate) fn fail(&self, table: &str, failing: bool) {
        self.state.send_modify(|state| {
            if failing {
                state.failing.insert(table.to_owned());
            } else {
                state.failing.remove(table);
            }
        });
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.borrow().asked.clone()
    }

    /// Waits until it was asked so.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&[Asked]) -> bool) {
        let mut state = self.state.subscribe();
        let seen = tokio::time::timeout(crate::world::LIMIT, state.wait_for(|state| so(&state.asked))).await;
        drop(seen.unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", self.asked())).unwrap());
    }

    /// Notes the question, waits if it must, and fails if it must. Returns which one it was.
    async fn ask(&self, by: &'static str, table: &str, question: Question) -> Result<usize, UpstreamError> {
        let is_page = matches!(question, Question::Page(_));
        let mut number = 0;
        self.state.send_modify(|state| {
            number = state.asked.len();
            state.asked.push(Asked { by, table: table.to_owned(), question, answered_us: None });
        });
        if is_page {
            let mut changes = self.state.subscribe();
            while !self.passes(table) {
                changes.changed().await.unwrap();
            }
        }
        if self.state.borrow().failing.contains(table) {
            let failure = Failure::new(ErrorClass::Unavailable, Outcome::NotApplied, "HV00N", "scripted");
            return Err(UpstreamError { failure, retry: RetryRule::Backoff });
        }
        Ok(number)
    }

    /// Whether a page of the table may pass now; takes one of those that may.
    fn passes(&self, table: &str) -> bool {
        let mut passed = false;
        self.state.send_if_modified(|state| {
            passed = match state.held.get_mut(table) {
                None => true,
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
            };
            false
        });
        passed
    }

    /// The answer is made now, within its interval by both clocks.
    async fn answered(&self, number: usize, begun_us: i64) -> LocalInterval {
        let theirs = PgClock::now_us(&self.postgres).await.unwrap();
        self.state.send_modify(|state| state.asked[number].answered_us = Some(theirs));
        LocalInterval { begun_us, ended_us: now_us() }
    }
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

fn image(key: &str) -> Row {
    Row::from([("id".to_owned(), Some(key.to_owned())), ("name".to_owned(), Some(format!("name of {key}")))])
}

#[async_trait]
impl Connector for Client {
    fn source(&self) -> &str {
        &self.1.source
    }

    fn capabilities(&self, _: &TableSpec) -> Capabilities {
        Capabilities {
            insert: Idempotency::None,
            update: Idempotency::None,
            delete: Idempotency::None,
            max_batch: 1,
            atomic_batches: false,
            request_timeout: Duration::from_secs(10),
            late_effect: Duration::from_secs(10),
            max_concurrency: 1,
            keys_per_read: 200,
        }
    }

    async fn discover(&self) -> Result<Vec<TableSpec>, UpstreamError> {
        unreachable!("setup discovers")
    }

    async fn page(&self, table: &TableSpec, cursor: Option<&str>) -> Result<Page, UpstreamError> {
        let Self(by, upstream) = self;
        let begun_us = now_us();
        let number = upstream.ask(by, &table.name.table, Question::Page(cursor.map(str::to_owned))).await?;
        let seen = upstream.answered(number, begun_us).await;
        let state = upstream.state.borrow();
        let keys = &state.records[&table.name.table];
        let from = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let to = (from + PAGE).min(keys.len());
        let row = |key: &String| ObservedRow { key: key.clone(), image: Some(image(key)), vendor_version: None };
        // As some vendors do: whether a full page was the last one, the next one tells.
        let next = (to == from + PAGE).then(|| to.to_string());
        Ok(Page { rows: keys[from..to].iter().map(row).collect(), seen, next })
    }

    async fn read(
        &self,
        table: &TableSpec,
        keys: &[String],
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        let Self(by, upstream) = self;
        let begun_us = now_us();
        let number = upstream.ask(by, &table.name.table, Question::Read(keys.to_vec())).await?;
        let seen = upstream.answered(number, begun_us).await;
        let state = upstream.state.borrow();
        let known = &state.records[&table.name.table];
        let result = |key: &String| match known.contains(key) {
            true => LookupResult::Present { key: key.clone(), image: image(key), vendor_version: None },
            false => LookupResult::Absent,
        };
        Ok((keys.iter().map(result).collect(), seen))
    }

    async fn call(&self, _: Call<'_>) -> CallReport {
        unreachable!("a syncer writes nothing upstream")
    }

    async fn find_created(
        &self,
        _: &TableSpec,
        _: &[CallRow],
        _: i64,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        unreachable!("a syncer looks nothing up")
    }
}
