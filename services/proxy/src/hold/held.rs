//! A mutation in the log whose client waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use upwrite_events::{Ack, Event, MutationId, Partition, RevocationRequested};

use super::Limits;
use super::shared::Shared;
use crate::capture::OnTimeout;
use crate::verdict::{self, About, Cause, Status, Success, Verdict, judge, judge_late};

/// An entry in the gate's map; removed when it is dropped.
pub(super) struct Waiter {
    shared: Arc<Shared>,
    mutation: MutationId,
    status: watch::Receiver<Option<Arc<Status>>>,
}

impl Waiter {
    pub(super) fn new(shared: &Arc<Shared>, mutation: MutationId) -> Self {
        Self { shared: shared.clone(), mutation, status: shared.hold(mutation) }
    }

    /// The verdict, when there is one that may be told.
    async fn verdict(&mut self, about: &About, cause: Option<Cause>) -> Verdict {
        loop {
            let known = self.status.borrow_and_update().clone();
            if let Some(verdict) = known.and_then(|status| judge(&status, about, cause)) {
                return verdict;
            }
            if self.status.changed().await.is_err() {
                // Cannot be: the sender goes when this waiter is dropped.
                std::future::pending::<()>().await;
            }
        }
    }

    fn late_verdict(&self, about: &About, cause: Cause) -> Option<Verdict> {
        let known = self.status.borrow().clone();
        known.and_then(|status| judge_late(&status, about, cause))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.let_go(self.mutation);
    }
}

/// Dropping it (the client went away) changes nothing for the mutation.
pub struct Held {
    waiter: Waiter,
    about: About,
    partition: Partition,
}

impl Held {
    pub(super) fn new(waiter: Waiter, about: About, partition: Partition) -> Self {
        Self { waiter, about, partition }
    }

    /// For `upwrite.last_mutation`, and for [`super::Gate::outlived_rollback`].
    pub fn mutation(&self) -> MutationId {
        self.about.mutation
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Waits for the verdict that the session's `upwrite.ack` asks for, at most as long as `limits` says; then withdraws
    /// the mutation or says 40003.
    pub async fn wait(mut self, limits: &Limits) -> Verdict {
        if self.about.ack == Ack::Accepted {
            return Verdict::Success(Success { keys: Vec::new(), reconciled: false, warning: None });
        }
        let cause = tokio::select! {
            biased;
            verdict = self.waiter.verdict(&self.about, None) => return verdict,
            cause = limits.ended(None) => cause,
        };
        if let Some(verdict) = self.waiter.late_verdict(&self.about, cause) {
            return verdict;
        }
        if cause != Cause::Cancel && limits.on_timeout == OnTimeout::Continue {
            return Verdict::Failure(verdict::not_known(self.about.mutation));
        }
        self.withdraw(cause, limits.revocation_wait).await
    }

    /// Asks the partition's owner to withdraw it, and takes whatever is known a moment later.
    async fn withdraw(mut self, cause: Cause, patience: Duration) -> Verdict {
        let deadline = Instant::now() + patience;
        let mutation = self.about.mutation;
        let reason = match cause {
            Cause::Cancel => "cancel",
            Cause::StatementTimeout => "statement_timeout",
            Cause::HoldTimeout | Cause::LockTimeout => "hold_timeout",
        };
        let request = Event::RevocationRequested(RevocationRequested { mutation, reason: reason.to_owned() });
        let log = self.waiter.shared.log.clone();
        let answer = async {
            if let Err(error) = log.append(self.partition, vec![request]).await {
                tracing::warn!(%mutation, %error, "a revocation could not be requested");
            }
            self.waiter.verdict(&self.about, Some(cause)).await
        };
        match timeout_at(deadline, answer).await {
            Ok(verdict) => verdict,
            Err(_) => {
                let late = self.waiter.late_verdict(&self.about, cause);
                late.unwrap_or_else(|| Verdict::Failure(verdict::not_known(mutation)))
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("mutation", &self.about.mutation).field("partition", &self.partition).finish()
    }
}
