//! What the driver reads from Postgres again and again: tables, and what time it is there.

use std::sync::Arc;

use upwrite_event_log::PgClock;
use upwrite_events::TableSpec;

use super::completion::Completion;
use super::upstream::Tables;
use super::{Driver, Environment};
use crate::backoff_delay::Delays;
use crate::projections::ProjectionError;

impl Driver {
    pub(super) fn tables_read(&mut self, result: Result<Vec<TableSpec>, ProjectionError>) {
        match result {
            Ok(specs) => {
                self.tables = Arc::new(Tables::new(specs, &self.environment.upstreams));
                self.take_in_awaiting();
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "tables not read, trying again");
                self.read_tables();
            }
        }
    }

    /// Reads `upwrite.tables`, after a moment.
    pub(super) fn read_tables(&mut self) {
        let environment = self.environment.clone();
        let delay = self.delays.after(1);
        self.tasks.spawn(async move {
            environment.clock.sleep_until(environment.clock.now() + delay).await;
            Completion::Tables(environment.projections.tables().await)
        });
    }

    /// Measures Postgres's clock again after a while.
    pub(super) fn sample_clock_later(&mut self) {
        let environment = self.environment.clone();
        self.tasks.spawn(async move {
            environment.clock.sleep_until(environment.clock.now() + environment.config.clock_sample_every).await;
            Completion::Clock(sample(&environment).await)
        });
    }
}

/// One measurement of Postgres's clock.
pub(super) async fn sample(environment: &Environment) -> Result<PgClock, ProjectionError> {
    PgClock::measure(&*environment.clock, environment.projections.now_us()).await
}

/// A first look at Postgres's clock, however long that takes.
pub(super) async fn first_sample(environment: &Environment, delays: &Delays) -> PgClock {
    let mut failures = 0;
    loop {
        match sample(environment).await {
            Ok(pg_clock) => return pg_clock,
            Err(error) => {
                failures += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, failures, "no start yet, trying again");
                environment.clock.sleep_until(environment.clock.now() + delays.after(failures)).await;
            }
        }
    }
}
