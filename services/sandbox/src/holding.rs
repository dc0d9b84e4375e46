//! Requests that wait for an admin call: held ones, and late ones without a delay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldRequest {
    /// `seq` of the request; `release` takes it.
    pub request: u64,
    /// `hold` or `execute_late`.
    pub fault: String,
    /// HTTP method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// What it asks for.
    pub op: String,
    /// Objects it names.
    pub objects: Vec<String>,
}

/// What happens to a request on release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Apply it (if that has not happened) and answer.
    #[default]
    Proceed,
    /// Apply it (if that has not happened) and close the connection without an answer.
    LoseAnswer,
    /// Do not apply it; close the connection without an answer.
    Drop,
    /// Do not apply it; answer that the service is unavailable (503).
    Reject,
}

/// Requests waiting, by their number.
#[derive(Debug, Default)]
pub(crate) struct HeldRequests {
    list: BTreeMap<u64, (HeldRequest, oneshot::Sender<Then>)>,
}

impl HeldRequests {
    /// Adds a request; the receiver learns when and how it goes on.
    pub(crate) fn enter(&mut self, held: HeldRequest) -> oneshot::Receiver<Then> {
        let (sender, receiver) = oneshot::channel();
        self.list.insert(held.request, (held, sender));
        receiver
    }

    pub(crate) fn leave(&mut self, request: u64) {
        self.list.remove(&request);
    }

    pub(crate) fn list(&self) -> Vec<HeldRequest> {
        self.list.values().map(|(held, _)| held.clone()).collect()
    }

    /// Releases one request, or all; returns how many.
    pub(crate) fn release(&mut self, request: Option<u64>, then: Then) -> usize {
        let chosen: Vec<u64> =
            self.list.keys().copied().filter(|r| request.is_none_or(|wanted| wanted == *r)).collect();
        for number in &chosen {
            if let Some((_, sender)) = self.list.remove(number) {
                // A waiter that is gone (shutdown) needs no word.
                let _ = sender.send(then);
            }
        }
        chosen.len()
    }
}
