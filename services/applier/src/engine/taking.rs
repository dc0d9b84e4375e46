//! Taking a partition: one append under one owner id. A try whose answer was lost is not repeated but made anew under
//! another id, so that no marker ever stands in the log twice.

use std::sync::Arc;
use std::time::Duration;

use upwrite_event_log::{LogError, Moment};
use upwrite_events::{OwnerId, Position};
use uuid::Uuid;

use super::done::Done;
use super::partition::Stage;
use super::{Driver, Tenure};
use crate::ApplierError;

impl Driver {
    /// Appends the marker, after `delay`.
    pub(super) fn take(&mut self, tenure: Tenure, delay: Duration) {
        let Some(owned) = self.tenures.get(&tenure) else { return };
        let (owner, partition, marker) = (owned.owner, owned.partition, owned.marker());
        let (log, clock) = (Arc::clone(&self.outside.log), Arc::clone(&self.outside.clock));
        self.tasks.spawn(async move {
            clock.sleep_until(clock.now() + delay).await;
            let sent = clock.now();
            let result = log.append(partition, vec![marker]).await;
            Done::Marker { tenure, owner, sent, result }
        });
    }

    pub(super) fn marked(
        &mut self,
        tenure: Tenure,
        owner: OwnerId,
        sent: Moment,
        result: Result<Vec<Position>, LogError>,
    ) -> Result<(), ApplierError> {
        let Some(owned) = self.tenures.get_mut(&tenure) else { return Ok(()) };
        let seen = owned.stage != Stage::CatchingUp && owned.owner == owner;
        match result {
            Ok(positions) => owned.acknowledged(positions.last().copied().unwrap_or(Position::START), sent),
            Err(mismatch @ LogError::Mismatch(_)) => return Err(mismatch.into()),
            // Given up meanwhile: whoever comes next takes it for itself.
            Err(_) if owned.stage == Stage::Ousted => return Ok(()),
            // The answer was lost, but the marker came by.
            Err(_) if seen => owned.acknowledged(Position::START, sent),
            Err(error) => {
                tracing::warn!(partition = %owned.partition, %error, "partition not taken, trying again");
                owned.abandoned.push(owned.owner);
                owned.owner = OwnerId(Uuid::now_v7());
                let delay = self.delays.after(1);
                if owned.draining.is_none() {
                    self.take(tenure, delay);
                } else {
                    // To be given back anyway, and never taken as far as we know.
                    self.abandon(tenure);
                }
            }
        }
        self.confirm(tenure);
        Ok(())
    }
}
