//! Taking a partition: one append under one owner id. A try whose answer was lost is not repeated but made anew under
//! another id, so that no marker ever stands in the log twice.

use std::sync::Arc;
use std::time::Duration;

use upwrite_event_log::LogError;
use upwrite_events::{OwnerId, Position};
use uuid::Uuid;

use super::Driver;
use super::done::Done;
use super::partition::Stage;
use crate::{ApplierError, Moment};

impl Driver {
    /// Appends the marker, after `delay`.
    pub(super) fn take(&mut self, number: u16, delay: Duration) {
        let Some(owned) = self.partitions.get(&number) else { return };
        let (owner, partition, marker) = (owned.owner, owned.partition, owned.marker());
        let (log, clock) = (Arc::clone(&self.outside.log), Arc::clone(&self.outside.clock));
        self.tasks.spawn(async move {
            clock.sleep_until(clock.now() + delay).await;
            let sent = clock.now();
            let result = log.append(partition, vec![marker]).await;
            Done::Marker { number, owner, sent, result }
        });
    }

    pub(super) fn marked(
        &mut self,
        number: u16,
        owner: OwnerId,
        sent: Moment,
        result: Result<Vec<Position>, LogError>,
    ) -> Result<(), ApplierError> {
        let Some(owned) = self.partitions.get_mut(&number) else { return Ok(()) };
        let seen = owned.stage != Stage::CatchingUp && owned.owner == owner;
        match result {
            Ok(positions) => owned.acknowledged(positions.last().copied().unwrap_or(Position::START), sent),
            Err(mismatch @ LogError::Mismatch(_)) => return Err(mismatch.into()),
            // The answer was lost, but the marker came by.
            Err(_) if seen => owned.acknowledged(Position::START, sent),
            Err(error) => {
                tracing::warn!(partition = %owned.partition, %error, "partition not taken, trying again");
                owned.abandoned.push(owned.owner);
                owned.owner = OwnerId(Uuid::now_v7());
                let delay = self.delays.after(1);
                if self.draining.is_none() {
                    self.take(number, delay);
                }
            }
        }
        self.confirm(number);
        Ok(())
    }
}
