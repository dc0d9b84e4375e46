//! The handle that tests and admin calls share: everything about a running sandbox that is not the wire.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::fault::{Chaos, FaultRule, Faults};
use crate::holding::{HeldRequest, HeldRequests, Then};
use crate::journal::{Effect, RequestEntry, Requests};
use crate::options::Options;
use crate::vendor::{AdminRefusal, ThirdPartyChange, Vendor};

/// A running sandbox. All functions may be called at any time from any thread.
#[derive(Debug)]
pub struct Sandbox {
    vendor: Arc<dyn Vendor>,
    state_file: Option<PathBuf>,
    faults: Mutex<Faults>,
    held: Mutex<HeldRequests>,
    requests: Mutex<Requests>,
    /// Counts anything that may be waited for.
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

/// A panic while a lock was held leaves consistent state behind (single pushes and removals), so poison is ignored.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sandbox {
    pub(crate) fn new(options: Options, vendor: Arc<dyn Vendor>) -> Result<Self, String> {
        match options.state_file.as_ref().filter(|file| file.exists()) {
            Some(file) => {
                let text = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
                let saved: Value = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
                vendor.load(&saved)?;
            }
            None => vendor.seed()?,
        }
        Ok(Self {
            vendor,
            state_file: options.state_file,
            faults: Mutex::default(),
            held: Mutex::default(),
            requests: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    pub(crate) fn served(&self) -> &dyn Vendor {
        &*self.vendor
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }

    pub(crate) fn held_requests(&self) -> MutexGuard<'_, HeldRequests> {
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
    pub async fn wait_held(&self, n: usize, timeout: Duration) -> Vec<HeldRequest> {
        self.wait_until(timeout, |me| me.held().len() >= n).await;
        self.held()
    }

    /// A new access token, without a login.
    pub fn issue_token(&self) -> String {
        self.vendor.issue_token()
    }

    /// Makes every access token given out so far invalid.
    pub fn expire_tokens(&self) {
        self.vendor.expire_tokens();
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

    /// Switches faults by chance on or off; draws begin again with the first.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.faults().set_chaos(chaos);
    }

    /// Requests that wait for release.
    pub fn held(&self) -> Vec<HeldRequest> {
        self.held_requests().list()
    }

    /// Releases one held request (by its `seq`), or all; returns how many.
    pub fn release(&self, request: Option<u64>, then: Then) -> usize {
        let count = self.held_requests().release(request, then);
        self.touch();
        count
    }

    /// Effects after `seq`, in order.
    pub fn journal_after(&self, seq: u64) -> Vec<Effect> {
        self.vendor.journal().after(seq)
    }

    /// Requests after `seq`, in order of arrival.
    pub fn requests_after(&self, seq: u64) -> Vec<RequestEntry> {
        self.request_log().after(seq, usize::MAX)
    }

    /// All records of an object as the API shows them; with `deleted` also deleted ones that the vendor keeps.
    pub fn records(&self, object: &str, deleted: bool) -> Vec<Map<String, Value>> {
        self.vendor.records(object, deleted)
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

    /// A third party's create, outside the API; returns the id, or the refusal's code and text.
    pub fn third_party_create(&self, object: &str, fields: &Map<String, Value>) -> Result<String, String> {
        self.third_party(object, ThirdPartyChange::Create(fields))
    }

    /// A third party's update.
    pub fn third_party_update(&self, object: &str, id: &str, fields: &Map<String, Value>) -> Result<(), String> {
        self.third_party(object, ThirdPartyChange::Update(id, fields)).map(drop)
    }

    /// A third party's delete.
    pub fn third_party_delete(&self, object: &str, id: &str) -> Result<(), String> {
        self.third_party(object, ThirdPartyChange::Delete(id)).map(drop)
    }

    fn third_party(&self, object: &str, change: ThirdPartyChange<'_>) -> Result<String, String> {
        let done = self.vendor.third_party(object, change);
        self.touch();
        done
    }

    /// An admin call of the vendor's own.
    pub(crate) fn vendor_verb(&self, method: &str, path: &[&str], body: Value) -> Result<Value, AdminRefusal> {
        let done = self.vendor.admin(method, path, body);
        self.touch();
        done
    }

    /// Writes the state file, if there is one.
    pub fn save(&self) -> Result<(), String> {
        let Some(file) = &self.state_file else {
            return Ok(());
        };
        let saved = self.vendor.save();
        let part = file.with_extension("part");
        std::fs::write(&part, saved.to_string())
            .and_then(|()| std::fs::rename(&part, file))
            .map_err(|e| format!("{}: {e}", file.display()))
    }
}
