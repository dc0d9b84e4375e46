//! The handle that tests and admin calls share: everything about a running sandbox that is not the wire.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::fault::{Chaos, FaultRule, Faults};
use crate::holding::{Held, Then, Waiting};
use crate::journal::{Effect, RequestEntry, Requests};
use crate::options::Options;
use crate::salesforce::api::Service;
use crate::salesforce::oauth::Auth;
use crate::salesforce::org::{DuplicateRule, Org, ValidationRule};
use crate::salesforce::{id, seed};

/// A running sandbox. All functions may be called at any time from any thread.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) options: Options,
    service: Mutex<Service>,
    auth: Mutex<Auth>,
    faults: Mutex<Faults>,
    held: Mutex<Waiting>,
    requests: Mutex<Requests>,
    /// Counts anything that somebody may wait for.
    changed: watch::Sender<u64>,
}

/// Time from the first byte received to the last byte of the answer handed to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTime {
    /// `seq` of the request.
    pub request: u64,
    /// What it asked for.
    pub op: String,
    /// Microseconds.
    pub us: u64,
}

/// Times of all answered requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// How many.
    pub calls: u64,
    /// Their sum, microseconds.
    pub total_us: u64,
    /// Each of them, in order of arrival.
    pub each: Vec<CallTime>,
}

/// A panic while a lock was held leaves consistent state behind (writes are undone or done), so poison is ignored.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sandbox {
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        let now = OffsetDateTime::now_utc();
        let mut org = Org::new(&options.salesforce, options.seed, now);
        match options.state_file.as_ref().filter(|file| file.exists()) {
            Some(file) => {
                let text = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
                let saved: Value = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
                org.load(&saved);
            }
            None => seed::fill(&mut org, &options.salesforce, options.seed, now).map_err(|e| e.message)?,
        }
        let auth = Auth::new(&options.salesforce, &org.id, &org.api_user);
        Ok(Self {
            service: Mutex::new(Service::new(org, options.salesforce.daily_api_limit)),
            auth: Mutex::new(auth),
            faults: Mutex::default(),
            held: Mutex::default(),
            requests: Mutex::default(),
            changed: watch::Sender::new(0),
            options,
        })
    }

    pub(crate) fn service(&self) -> MutexGuard<'_, Service> {
        locked(&self.service)
    }

    pub(crate) fn auth(&self) -> MutexGuard<'_, Auth> {
        locked(&self.auth)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        locked(&self.held)
    }

    pub(crate) fn request_log(&self) -> MutexGuard<'_, Requests> {
        locked(&self.requests)
    }

    pub(crate) fn touch(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Waits until `met` is true, or gives up after `timeout`.
    pub async fn wait_until(&self, timeout: Duration, met: impl Fn(&Self) -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !met(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(timeout, wait).await.is_ok()
    }

    /// Waits until at least `n` requests are held.
    pub async fn wait_held(&self, n: usize, timeout: Duration) -> Vec<Held> {
        self.wait_until(timeout, |me| me.held().len() >= n).await;
        self.held()
    }

    /// A new access token, without the OAuth endpoint.
    pub fn issue_token(&self) -> String {
        self.auth().issue(OffsetDateTime::now_utc())
    }

    /// Makes every access token given out so far invalid (401 `INVALID_SESSION_ID`).
    pub fn expire_tokens(&self) {
        self.auth().expire_all();
    }

    /// Adds a fault rule; returns its number.
    pub fn add_fault(&self, rule: FaultRule) -> Result<u64, String> {
        self.faults().add(rule)
    }

    /// Drops all fault rules and switches chance off.
    pub fn clear_faults(&self) {
        let mut faults = self.faults();
        faults.clear(None);
        faults.set_chaos(None);
    }

    /// Switches faults by chance on or off; draws begin anew.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.faults().set_chaos(chaos);
    }

    /// Requests that wait for release.
    pub fn held(&self) -> Vec<Held> {
        self.waiting().list()
    }

    /// Releases one held request (by its `seq`), or all; returns how many.
    pub fn release(&self, request: Option<u64>, then: Then) -> usize {
        let count = self.waiting().release(request, then);
        self.touch();
        count
    }

    /// Effects after `seq`, in order.
    pub fn journal_after(&self, seq: u64) -> Vec<Effect> {
        self.service().org.effects.after(seq, usize::MAX)
    }

    /// Requests after `seq`, in order of arrival.
    pub fn requests_after(&self, seq: u64) -> Vec<RequestEntry> {
        self.request_log().after(seq, usize::MAX)
    }

    /// All records of an object, formulas included; with `deleted` also those in the recycle bin.
    pub fn records(&self, object: &str, deleted: bool) -> Vec<Map<String, Value>> {
        let service = self.service();
        let Some(object) = service.org.object(object) else {
            return Vec::new();
        };
        let rows = service.org.table(&object).rows();
        let wanted = rows.filter(|(_, row)| deleted || row.get("IsDeleted") != Some(&Value::Bool(true)));
        wanted
            .filter_map(|(_, row)| match service.org.show(&object, row, None, "") {
                Value::Object(mut map) => {
                    map.shift_remove("attributes");
                    Some(map)
                }
                _ => None,
            })
            .collect()
    }

    /// Times of answered requests after `seq`.
    pub fn timing_after(&self, seq: u64) -> Timing {
        let each: Vec<CallTime> = self
            .requests_after(seq)
            .into_iter()
            .filter_map(|r| Some(CallTime { request: r.seq, op: r.op, us: r.answered_us? }))
            .collect();
        let calls = u64::try_from(each.len()).unwrap_or(u64::MAX);
        Timing { calls, total_us: each.iter().map(|c| c.us).sum(), each }
    }

    /// Adds or replaces a validation rule.
    pub fn set_validation_rule(&self, rule: ValidationRule) {
        let rules = &mut self.service().org.validation_rules;
        rules.retain(|r| r.name != rule.name);
        rules.push(rule);
    }

    /// Adds or replaces a duplicate rule.
    pub fn set_duplicate_rule(&self, rule: DuplicateRule) {
        let rules = &mut self.service().org.duplicate_rules;
        rules.retain(|r| r.name != rule.name);
        rules.push(rule);
    }

    /// Holds the row locks of these records (and no others): writes that need them get `UNABLE_TO_LOCK_ROW`.
    pub fn lock_rows(&self, ids: &[&str]) {
        self.service().org.locked = ids.iter().filter_map(|id| id::canonical(id)).collect();
    }

    /// API calls counted, and allowed before `REQUEST_LIMIT_EXCEEDED`.
    pub fn set_api_budget(&self, used: u64, allowed: u64) {
        let mut service = self.service();
        (service.used, service.allowed) = (used, allowed);
    }

    /// Writes the state file, if there is one.
    pub fn save(&self) -> Result<(), String> {
        let Some(file) = &self.options.state_file else {
            return Ok(());
        };
        let saved = self.service().org.save();
        let part = file.with_extension("part");
        std::fs::write(&part, saved.to_string())
            .and_then(|()| std::fs::rename(&part, file))
            .map_err(|e| format!("{}: {e}", file.display()))
    }
}
