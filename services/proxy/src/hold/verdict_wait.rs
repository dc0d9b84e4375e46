//! Holding a client until its mutation has a verdict.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use upwrite_events::{Ack, Event, MutationId, Partition, RevocationRequested};

use super::WaitLimits;
use super::registry::HoldRegistry;
use crate::planning::OnTimeout;
use crate::verdict::{self, About, Cause, Status, Success, Verdict, judge, judge_late};

/// A held mutation's entry in the registry; removed when it is dropped.
pub(super) struct StatusWatch {
    registry: Arc<HoldRegistry>,
    mutation: MutationId,
    status: watch::Receiver<Option<Arc<Status>>>,
}

impl StatusWatch {
    pub(super) fn new(registry: &Arc<HoldRegistry>, mutation: MutationId) -> Self {
        Self { registry: registry.clone(), mutation, status: registry.watch(mutation) }
    }

    /// Waits for a verdict that the client may be told.
    async fn verdict(&mut self, about: &About, cause: Option<Cause>) -> Verdict {
        loop {
            let latest = self.status.borrow_and_update().clone();
            if let Some(verdict) = latest.and_then(|status| judge(&status, about, cause)) {
                return verdict;
            }
            if self.status.changed().await.is_err() {
                // Cannot be: the sender goes when this watch is dropped.
                std::future::pending::<()>().await;
            }
        }
    }

    fn late_verdict(&self, about: &About, cause: Cause) -> Option<Verdict> {
        let latest = self.status.borrow().clone();
        latest.and_then(|status| judge_late(&status, about, cause))
    }
}

impl Drop for StatusWatch {
    fn drop(&mut self) {
        self.registry.unwatch(self.mutation);
    }
}

/// A client held until its mutation has a verdict. Dropping it (the client went away) changes nothing for the mutation.
pub struct Hold {
    status: StatusWatch,
    about: About,
    partition: Partition,
}

impl Hold {
    pub(super) fn new(status: StatusWatch, about: About, partition: Partition) -> Self {
        Self { status, about, partition }
    }

    /// For `upwrite.last_mutation`, and for [`super::Submitter::outlived_rollback`].
    pub fn mutation(&self) -> MutationId {
        self.about.mutation
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Waits for the verdict that the session's `upwrite.ack` asks for, at most as long as `limits` says; then withdraws
    /// the mutation or says 40003.
    pub async fn wait(mut self, limits: &WaitLimits) -> Verdict {
        if self.about.ack == Ack::Accepted {
            return Verdict::Success(Success { keys: Vec::new(), reconciled: false, warning: None });
        }
        let cause = tokio::select! {
            biased;
            verdict = self.status.verdict(&self.about, None) => return verdict,
            cause = limits.ended(None) => cause,
        };
        if let Some(verdict) = self.status.late_verdict(&self.about, cause) {
            return verdict;
        }
        if cause != Cause::Cancel && limits.on_timeout == OnTimeout::Continue {
            return Verdict::Failure(verdict::not_known(self.about.mutation));
        }
        self.withdraw(cause, limits.revocation_wait).await
    }

    /// Asks the partition's owner to withdraw it, and takes what is known a moment later.
    async fn withdraw(mut self, cause: Cause, patience: Duration) -> Verdict {
        let deadline = Instant::now() + patience;
        let mutation = self.about.mutation;
        let reason = match cause {
            Cause::Cancel => "cancel",
            Cause::StatementTimeout => "statement_timeout",
            Cause::HoldTimeout | Cause::LockTimeout => "hold_timeout",
        };
        let request = Event::RevocationRequested(RevocationRequested { mutation, reason: reason.to_owned() });
        let log = self.status.registry.log.clone();
        let answer = async {
            if let Err(error) = log.append(self.partition, vec![request]).await {
                tracing::warn!(%mutation, %error, "a revocation could not be requested");
            }
            self.status.verdict(&self.about, Some(cause)).await
        };
        match timeout_at(deadline, answer).await {
            Ok(verdict) => verdict,
            Err(_) => {
                let late = self.status.late_verdict(&self.about, cause);
                late.unwrap_or_else(|| Verdict::Failure(verdict::not_known(mutation)))
            }
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("mutation", &self.about.mutation).field("partition", &self.partition).finish()
    }
}
