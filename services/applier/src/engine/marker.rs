//! Taking a partition: one append of the fencing marker under one owner id. After a lost answer the next try has another
//! id, so that no marker ever stands in the log twice.

use std::sync::Arc;
use std::time::Duration;

use upwrite_event_log::{LogError, Moment};
use upwrite_events::{OwnerId, Position};
use uuid::Uuid;

use super::completion::Completion;
use super::partition::OwnerState;
use super::{Driver, Term};
use crate::ApplierError;

impl Driver {
    /// Appends the marker, after `delay`.
    pub(super) fn take(&mut self, term: Term, delay: Duration) {
        let Some(ownership) = self.terms.get(&term) else { return };
        let (owner, partition, marker) = (ownership.owner, ownership.partition, ownership.marker());
        let (log, clock) = (Arc::clone(&self.environment.log), Arc::clone(&self.environment.clock));
        self.tasks.spawn(async move {
            clock.sleep_until(clock.now() + delay).await;
            let sent = clock.now();
            let result = log.append(partition, vec![marker]).await;
            Completion::Marker { term, owner, sent, result }
        });
    }

    pub(super) fn marked(
        &mut self,
        term: Term,
        owner: OwnerId,
        sent: Moment,
        result: Result<Vec<Position>, LogError>,
    ) -> Result<(), ApplierError> {
        let Some(ownership) = self.terms.get_mut(&term) else { return Ok(()) };
        let seen = ownership.state != OwnerState::CatchingUp && ownership.owner == owner;
        match result {
            Ok(positions) => ownership.acknowledged(positions.last().copied().unwrap_or(Position::START), sent),
            Err(mismatch @ LogError::Mismatch(_)) => return Err(mismatch.into()),
            // Given up meanwhile: the next owner takes it for itself.
            Err(_) if ownership.state == OwnerState::Ousted => return Ok(()),
            // The answer was lost, but the marker came by.
            Err(_) if seen => ownership.acknowledged(Position::START, sent),
            Err(error) => {
                tracing::warn!(partition = %ownership.partition, %error, "partition not taken, trying again");
                ownership.abandoned.push(ownership.owner);
                ownership.owner = OwnerId(Uuid::now_v7());
                let delay = self.delays.after(1);
                if ownership.draining.is_none() {
                    self.take(term, delay);
                } else {
                    // To be given back anyway, and never taken as far as we know.
                    self.abandon(term);
                }
            }
        }
        self.confirm(term);
        Ok(())
    }
}
