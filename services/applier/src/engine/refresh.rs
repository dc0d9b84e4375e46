//! What the driver reads from Postgres again and again: tables, and what time it is there.

use std::sync::Arc;

use upwrite_event_log::PgClock;
use upwrite_events::TableSpec;

use super::done::Done;
use super::upstream::Tables;
use super::{Driver, Outside};
use crate::backoff_delay::Delays;
use crate::projections::ProjectionError;

impl Driver {
    pub(super) fn tables_read(&mut self, result: Result<Vec<TableSpec>, ProjectionError>) {
        match result {
            Ok(specs) => {
                self.tables = Arc::new(Tables::new(specs, &self.outside.upstreams));
                self.take_strangers_in();
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "tables not read, trying again");
                self.read_tables();
            }
        }
    }

    /// Reads `upwrite.tables`, after a moment.
    pub(super) fn read_tables(&mut self) {
        let outside = self.outside.clone();
        let delay = self.delays.after(1);
        self.tasks.spawn(async move {
            outside.clock.sleep_until(outside.clock.now() + delay).await;
            Done::Tables(outside.projections.tables().await)
        });
    }

    /// Measures Postgres's clock again after a while.
    pub(super) fn sample_clock_later(&mut self) {
        let outside = self.outside.clone();
        self.tasks.spawn(async move {
            outside.clock.sleep_until(outside.clock.now() + outside.config.clock_sample_every).await;
            Done::Clock(sample(&outside).await)
        });
    }
}

/// One measurement of Postgres's clock.
pub(super) async fn sample(outside: &Outside) -> Result<PgClock, ProjectionError> {
    PgClock::measure(&*outside.clock, outside.projections.now_us()).await
}

/// A first look at Postgres's clock, however long that takes.
pub(super) async fn first_sample(outside: &Outside, delays: &Delays) -> PgClock {
    let mut failures = 0;
    loop {
        match sample(outside).await {
            Ok(pg_clock) => return pg_clock,
            Err(error) => {
                failures += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, failures, "no start yet, trying again");
                outside.clock.sleep_until(outside.clock.now() + delays.after(failures)).await;
            }
        }
    }
}
