//! What the submitter's handles and its task share: held mutations and the queues for claims.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use upwrite_event_log::EventLog;
use upwrite_events::MutationId;

use super::queues::Queues;
use crate::verdict::Status;

pub(super) struct HoldRegistry {
    pub(super) log: Arc<dyn EventLog>,
    /// Logs in as `upwrite_service`.
    pub(super) pool: PgPool,
    state: Mutex<HoldState>,
    /// Something is due to be read.
    pub(super) due: Notify,
}

/// Bounded by the number of sessions: each waits for at most one mutation and in at most one queue.
#[derive(Default)]
pub(super) struct HoldState {
    pub(super) held: HashMap<MutationId, watch::Sender<Option<Arc<Status>>>>,
    pub(super) queues: Queues,
    /// Mutations whose status is to be read at once.
    pub(super) due: HashSet<MutationId>,
}

impl HoldRegistry {
    pub(super) fn new(log: Arc<dyn EventLog>, pool: PgPool) -> Arc<Self> {
        Arc::new(Self { log, pool, state: Mutex::default(), due: Notify::new() })
    }

    /// No code under the lock leaves the state half changed, so a panic elsewhere does not matter.
    pub(super) fn state(&self) -> MutexGuard<'_, HoldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has these read at once, those that a client or a queue here waits for.
    pub(super) fn read_soon(&self, mutations: impl IntoIterator<Item = MutationId>) {
        {
            let mut state = self.state();
            let claimants = state.queues.claimants();
            for mutation in mutations {
                if state.held.contains_key(&mutation) || claimants.contains(&mutation) {
                    state.due.insert(mutation);
                }
            }
            if state.due.is_empty() {
                return;
            }
        }
        self.due.notify_one();
    }

    /// Has everything read that a client or a queue here waits for.
    pub(super) fn read_all_soon(&self) {
        {
            let mut state = self.state();
            let claimants = state.queues.claimants();
            let all: HashSet<MutationId> = state.held.keys().copied().chain(claimants).collect();
            state.due.extend(all);
        }
        self.due.notify_one();
    }

    pub(super) fn watch(&self, mutation: MutationId) -> watch::Receiver<Option<Arc<Status>>> {
        let (sender, receiver) = watch::channel(None);
        self.state().held.insert(mutation, sender);
        receiver
    }

    pub(super) fn unwatch(&self, mutation: MutationId) {
        let mut state = self.state();
        state.held.remove(&mutation);
        state.due.remove(&mutation);
    }
}
