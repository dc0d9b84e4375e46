//! A statement's wait for claimed records.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use upwrite_event_log::Claim;
use upwrite_events::MutationId;

use super::WaitLimits;
use super::queues::Waiter;
use super::registry::HoldRegistry;
use crate::error::PgError;
use crate::measure::Presence;
use crate::verdict;

/// A statement's place in the queues for claimed records. Made with `ClaimWait::default()` when the statement begins, kept
/// over all its dry runs, dropped when the statement ends: dropping it lets the next one go.
#[derive(Default)]
pub struct ClaimWait {
    ticket: Option<Ticket>,
}

struct Ticket {
    registry: Arc<HoldRegistry>,
    claim: Claim,
    waiter: Arc<Waiter>,
    accepted: Option<MutationId>,
}

impl ClaimWait {
    /// Whether the statement has waited and has not ended since.
    pub(super) fn is_queued(&self) -> bool {
        self.ticket.is_some()
    }

    /// Takes a place in the queue for `claim` (keeps it, if it is there already) and leaves any other.
    pub(super) fn join(&mut self, registry: &Arc<HoldRegistry>, claim: &Claim, claimant: Option<MutationId>) {
        match (&self.ticket, claimant) {
            (Some(ticket), Some(claimant)) if ticket.claim == *claim => {
                registry.state().queues.claimed_by(claim, claimant)
            }
            (Some(ticket), None) if ticket.claim == *claim => {}
            _ => {
                self.ticket = None;
                let waiter = registry.state().queues.join(claim, claimant);
                self.ticket = Some(Ticket { registry: registry.clone(), claim: claim.clone(), waiter, accepted: None });
            }
        }
        // The claimant may have been released before this statement joined the queue.
        registry.read_soon(claimant);
    }

    /// Waits until it is this statement's turn to run again; an error ends the statement, nothing was sent.
    pub(super) async fn wait(&mut self, limits: &WaitLimits) -> Result<(), PgError> {
        let Some(ticket) = &self.ticket else { return Ok(()) };
        let _present = Presence::claim_wait();
        let lock_deadline = limits.lock_timeout.map(|limit| Instant::now() + limit);
        let ended = limits.ended(lock_deadline);
        tokio::pin!(ended);
        loop {
            if ticket.registry.state().queues.may_go(&ticket.claim, &ticket.waiter) {
                return Ok(());
            }
            tokio::select! {
                () = ticket.waiter.turn.notified() => {}
                cause = &mut ended => {
                    self.ticket = None;
                    return Err(verdict::withdrawn(cause, None));
                }
            }
        }
    }

    /// The statement's mutation has the claim now; the next one waits for it.
    pub(super) fn accepted(&mut self, mutation: MutationId) {
        if let Some(mut ticket) = self.ticket.take() {
            ticket.accepted = Some(mutation);
        }
    }

    /// The statement failed.
    pub(super) fn leave(&mut self) {
        self.ticket = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.registry.state().queues.leave(&self.claim, &self.waiter, self.accepted);
        // The next in the queue waits for this mutation, so its status is to be read.
        self.registry.read_soon(self.accepted);
    }
}

impl fmt::Debug for ClaimWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimWait").field("claim", &self.ticket.as_ref().map(|ticket| &ticket.claim)).finish()
    }
}
