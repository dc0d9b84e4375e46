//! A statement's place among those that wait for the same record.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use upwrite_event_log::Claim;
use upwrite_events::MutationId;

use super::Limits;
use super::queues::Place;
use super::shared::Shared;
use crate::error::PgError;
use crate::measure::Present;
use crate::verdict;

/// A statement's place in the queues for claimed records. Made with `Turn::default()` when the statement begins, kept
/// over all its dry runs, dropped when the statement ends: dropping it lets the next one go.
#[derive(Default)]
pub struct Turn {
    ticket: Option<Ticket>,
}

struct Ticket {
    shared: Arc<Shared>,
    claim: Claim,
    place: Arc<Place>,
    accepted: Option<MutationId>,
}

impl Turn {
    /// Whether the statement has waited and has not ended since.
    pub(super) fn has_place(&self) -> bool {
        self.ticket.is_some()
    }

    /// Takes a place in the queue for `claim` (keeps it, if it is there already) and leaves any other.
    pub(super) fn queue(&mut self, shared: &Arc<Shared>, claim: &Claim, holder: Option<MutationId>) {
        match (&self.ticket, holder) {
            (Some(ticket), Some(holder)) if ticket.claim == *claim => shared.state().queues.held_by(claim, holder),
            (Some(ticket), None) if ticket.claim == *claim => {}
            _ => {
                self.ticket = None;
                let place = shared.state().queues.join(claim, holder);
                self.ticket = Some(Ticket { shared: shared.clone(), claim: claim.clone(), place, accepted: None });
            }
        }
        // The holder may have been released before it was known that somebody waits for it.
        shared.read_soon(holder);
    }

    /// Waits until it is this statement's turn to run again; an error ends the statement, nothing was sent.
    pub(super) async fn wait(&mut self, limits: &Limits) -> Result<(), PgError> {
        let Some(ticket) = &self.ticket else { return Ok(()) };
        let _present = Present::claim_wait();
        let lock_deadline = limits.lock_timeout.map(|limit| Instant::now() + limit);
        let ended = limits.ended(lock_deadline);
        tokio::pin!(ended);
        loop {
            if ticket.shared.state().queues.may_go(&ticket.claim, &ticket.place) {
                return Ok(());
            }
            tokio::select! {
                () = ticket.place.turn.notified() => {}
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
        self.shared.state().queues.leave(&self.claim, &self.place, self.accepted);
        // Whoever comes next waits for this mutation: it must be read when its claims go.
        self.shared.read_soon(self.accepted);
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("claim", &self.ticket.as_ref().map(|ticket| &ticket.claim)).finish()
    }
}
