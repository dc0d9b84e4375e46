//! An upstream in virtual time. It keeps a journal of every effect, and makes what it was asked for even if no one
//! waits for the answer any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use upwrite_connectors::{
    Budget, Call, CallReport, CallRow, Capabilities, Connector, LookupResult, Page, RetryRule, RowResult, TimeLimit,
    UpstreamError,
};
use upwrite_events::{ErrorClass, Failure, LocalInterval, Op, Outcome, Row, TableSpec};

use super::tables::{KEYED, NUMBERED, REQUEST_TIMEOUT, capabilities};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Made, answered.
    None,
    Reject,
    Busy,
    /// Never reached upstream; no answer.
    LostBefore,
    /// Made; no answer.
    LostAfter,
    /// Made that long after it was sent; no answer.
    Late(Duration),
    /// Made and answered after that long.
    Slow(Duration),
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) idempotency_key: String,
    pub(crate) op: Op,
}

/// One call, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) table: String,
    pub(crate) op: Op,
    pub(crate) rows: usize,
    pub(crate) atomic: bool,
}

#[derive(Default)]
struct State {
    /// Table and key → row.
    records: BTreeMap<(String, String), Row>,
    /// Record of each idempotency key of the tables that enforce it.
    keys: BTreeMap<String, String>,
    journal: Vec<Effect>,
    calls: Vec<Arrived>,
    planned: VecDeque<Fault>,
    looks_fail: bool,
    /// The next call asks for a token first, which is a request of its own.
    logged_out: bool,
    made: u64,
}

pub(crate) struct World {
    pub(crate) budget: Budget,
    state: Arc<Mutex<State>>,
    chance: Mutex<(StdRng, f64)>,
}

const LATENCY: Duration = Duration::from_millis(50);
const NOW: LocalInterval = LocalInterval { begun_us: 0, ended_us: 0 };

impl World {
    pub(crate) fn new(seed: u64, budget: Budget) -> Arc<Self> {
        Arc::new(Self { budget, state: Arc::default(), chance: Mutex::new((StdRng::seed_from_u64(seed), 0.0)) })
    }

    /// What happens to the next calls, in order.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().planned.extend(faults);
    }

    /// The share of all other calls to which something happens.
    pub(crate) fn misbehave(&self, share: f64) {
        self.chance.lock().unwrap().1 = share;
    }

    /// Whether look-ups and reads fail.
    pub(crate) fn hide(&self, hidden: bool) {
        self.state().looks_fail = hidden;
    }

    pub(crate) fn log_out(&self) {
        self.state().logged_out = true;
    }

    pub(crate) fn journal(&self) -> Vec<Effect> {
        self.state().journal.clone()
    }

    /// How often this row took effect.
    pub(crate) fn effects(&self, idempotency_key: &str) -> usize {
        self.state().journal.iter().filter(|effect| effect.idempotency_key == idempotency_key).count()
    }

    pub(crate) fn calls(&self) -> Vec<Arrived> {
        self.state().calls.clone()
    }

    pub(crate) fn put(&self, table: &str, key: &str, row: Row) {
        self.state().records.insert((table.to_owned(), key.to_owned()), row);
    }

    pub(crate) fn value(&self, table: &str, key: &str, column: &str) -> Option<String> {
        self.state().records.get(&(table.to_owned(), key.to_owned()))?.get(column)?.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fate(&self) -> Fault {
        if let Some(planned) = self.state().planned.pop_front() {
            return planned;
        }
        let (rng, share) = &mut *self.chance.lock().unwrap();
        if !rng.random_bool(*share) {
            return Fault::None;
        }
        match rng.random_range(0..7) {
            0 => Fault::Reject,
            1 => Fault::Busy,
            2 => Fault::LostBefore,
            3 => Fault::LostAfter,
            4 | 5 => Fault::Late(Duration::from_millis(rng.random_range(100..9_900))),
            _ => Fault::Slow(Duration::from_millis(rng.random_range(100..1_900))),
        }
    }
}

impl State {
    /// Makes all rows of a call or, if it is atomic and one is refused, none.
    fn make(&mut self, table: &str, op: Op, rows: &[CallRow], atomic: bool) -> Vec<RowResult> {
        let refused: Vec<Option<UpstreamError>> = rows.iter().map(|row| self.refusal(table, op, row)).collect();
        let none = atomic && refused.iter().any(Option::is_some);
        let one = |(row, refused): (&CallRow, Option<UpstreamError>)| match refused {
            Some(error) => RowResult::Failed(error),
            None if none => RowResult::Failed(error(ErrorClass::Collateral, Outcome::NotApplied, RetryRule::Alone)),
            None => self.make_one(table, op, row),
        };
        rows.iter().zip(refused).map(one).collect()
    }

    fn refusal(&self, table: &str, op: Op, row: &CallRow) -> Option<UpstreamError> {
        let there = self.records.contains_key(&(table.to_owned(), row.key.clone()));
        let class = match op {
            Op::Insert if table == KEYED && self.keys.contains_key(&row.idempotency_key) => ErrorClass::Unique,
            Op::Update | Op::Delete if !there => ErrorClass::NotFound,
            _ => return None,
        };
        Some(error(class, Outcome::NotApplied, RetryRule::Never))
    }

    fn make_one(&mut self, table: &str, op: Op, row: &CallRow) -> RowResult {
        self.journal.push(Effect { idempotency_key: row.idempotency_key.clone(), op });
        let key = if op == Op::Insert {
            self.made += 1;
            if table == NUMBERED { self.made.to_string() } else { format!("{table}-{}", self.made) }
        } else {
            row.key.clone()
        };
        let id = (table.to_owned(), key.clone());
        match op {
            Op::Delete => {
                self.records.remove(&id);
            }
            Op::Insert => {
                self.keys.insert(row.idempotency_key.clone(), key.clone());
                self.records.insert(id, row.changed.clone());
            }
            Op::Update => self.records.entry(id).or_default().extend(row.changed.clone()),
        }
        RowResult::Applied { key, image: None, vendor_version: None }
    }

    fn found(&self, table: &str, key: &str) -> LookupResult {
        match self.records.get(&(table.to_owned(), key.to_owned())) {
            Some(row) => LookupResult::Present { key: key.to_owned(), image: row.clone(), vendor_version: None },
            None => LookupResult::Absent,
        }
    }

    /// By key where there is one, else by looks.
    fn created(&self, table: &str, row: &CallRow) -> LookupResult {
        if table == KEYED {
            return self.keys.get(&row.idempotency_key).map_or(LookupResult::Absent, |key| self.found(table, key));
        }
        let alike = |((is, _), values): &(&(String, String), &Row)| is == table && **values == row.changed;
        let mut alike = self.records.iter().filter(alike);
        match (alike.next(), alike.next()) {
            (None, _) => LookupResult::Absent,
            (Some(((_, key), _)), None) => self.found(table, key),
            _ => LookupResult::Ambiguous,
        }
    }
}

fn error(class: ErrorClass, outcome: Outcome, retry: RetryRule) -> UpstreamError {
    UpstreamError { failure: Failure::new(class, outcome, "XX000", "as the simulation wants it"), retry }
}

fn all(rows: &[CallRow], error: &UpstreamError) -> Vec<RowResult> {
    rows.iter().map(|_| RowResult::Failed(error.clone())).collect()
}

#[async_trait]
impl Connector for World {
    fn source(&self) -> &str {
        "sim"
    }

    fn capabilities(&self, table: &TableSpec) -> Capabilities {
        capabilities(table)
    }

    async fn discover(&self) -> Result<Vec<TableSpec>, UpstreamError> {
        Ok(Vec::new())
    }

    async fn page(&self, _: &TableSpec, _: Option<&str>) -> Result<Page, UpstreamError> {
        Ok(Page { rows: Vec::new(), seen: NOW, next: None })
    }

    async fn read(
        &self,
        table: &TableSpec,
        keys: &[String],
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        tokio::time::sleep(LATENCY).await;
        let state = self.state();
        if state.looks_fail {
            return Err(error(ErrorClass::Unavailable, Outcome::Unknown, RetryRule::Backoff));
        }
        Ok((keys.iter().map(|key| state.found(&table.name.table, key)).collect(), NOW))
    }

    async fn call(&self, call: Call<'_>) -> CallReport {
        // As in the connectors' HTTP: each request takes its token, within the time of the call.
        let mut limit = TimeLimit::of_write(REQUEST_TIMEOUT);
        let login = std::mem::take(&mut self.state().logged_out);
        for _ in 0..1 + u8::from(login) {
            if let Err(out) = self.budget.admit(&mut limit).await {
                let error = error(ErrorClass::RateLimited, Outcome::NotApplied, RetryRule::After(out.wait));
                return CallReport { rows: all(call.rows, &error), seen: NOW };
            }
        }
        let fate = self.fate();
        let (table, op, rows, atomic) = (call.table.name.table.clone(), call.op, call.rows.to_vec(), call.atomic);
        self.state().calls.push(Arrived { table: table.clone(), op, rows: rows.len(), atomic });
        let report = |rows| CallReport { rows, seen: NOW };
        let delay = match fate {
            Fault::Late(delay) | Fault::Slow(delay) => delay,
            Fault::Reject => {
                return report(all(&rows, &error(ErrorClass::Check, Outcome::NotApplied, RetryRule::Never)));
            }
            Fault::Busy => {
                return report(all(&rows, &error(ErrorClass::Locked, Outcome::NotApplied, RetryRule::Backoff)));
            }
            _ => LATENCY,
        };
        let state = Arc::clone(&self.state);
        let sent = rows.clone();
        // What has left us is made, whether anybody waits for it or not.
        let making = (fate != Fault::LostBefore).then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                state.lock().unwrap().make(&table, op, &sent, atomic)
            })
        });
        if let (Some(making), Fault::None | Fault::Slow(_)) = (making, fate) {
            return report(making.await.unwrap());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        report(all(&rows, &error(ErrorClass::Timeout, Outcome::Unknown, RetryRule::Backoff)))
    }

    async fn find_created(
        &self,
        table: &TableSpec,
        rows: &[CallRow],
        _: i64,
    ) -> Result<(Vec<LookupResult>, LocalInterval), UpstreamError> {
        tokio::time::sleep(LATENCY).await;
        let state = self.state();
        if state.looks_fail {
            return Err(error(ErrorClass::Unavailable, Outcome::Unknown, RetryRule::Backoff));
        }
        Ok((rows.iter().map(|row| state.created(&table.name.table, row)).collect(), NOW))
    }
}
