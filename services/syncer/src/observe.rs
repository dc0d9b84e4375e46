//! What a read showed → the log, in Postgres's clock.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Mutex;
use upwrite_event_log::{Clock, EventLog, LogError, PgClock, partition_for};
use upwrite_events::{
    Event, Interval, LocalInterval, MAX_ROWS_PER_OBSERVATION, ObservedRow, Partition, Position, RecordsObserved,
    Stream, TableName,
};

use crate::error::{SyncerError, doing};

/// Appends observations. One for all sources: they share the measurement of Postgres's clock.
pub(crate) struct Observer {
    pool: PgPool,
    pub(crate) log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    max_age: Duration,
    measured: Mutex<Option<PgClock>>,
}

impl Observer {
    /// `max_age`: Postgres's clock is measured again if the last measurement is older.
    pub(crate) fn new(pool: PgPool, log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, max_age: Duration) -> Self {
        Self { pool, log, clock, max_age, measured: Mutex::default() }
    }

    /// All reads of one table go to one partition: whoever waits for the last of them has waited for all.
    pub(crate) fn partition(&self, table: &TableName) -> Partition {
        partition_for(Stream::Observations, table, "", self.log.partitions())
    }

    /// Appends the rows of one read; the last position, or `None` if there were none.
    pub(crate) async fn observe(
        &self,
        table: &TableName,
        kind: &str,
        seen: LocalInterval,
        mut rows: Vec<ObservedRow>,
    ) -> Result<Option<Position>, SyncerError> {
        let seen = self.convert(seen).await?;
        let partition = self.partition(table);
        let mut last = None;
        let mut most = MAX_ROWS_PER_OBSERVATION;
        while !rows.is_empty() {
            let later = rows.split_off(most.min(rows.len()));
            let event = RecordsObserved { table: table.clone(), kind: kind.to_owned(), seen, rows };
            match self.log.append(partition, vec![Event::RecordsObserved(event.clone())]).await {
                Ok(positions) => {
                    last = positions.last().copied();
                    rows = later;
                }
                // Long values: fewer rows an event.
                Err(LogError::TooLarge { .. }) if event.rows.len() > 1 => {
                    most = event.rows.len() / 2;
                    rows = event.rows;
                    rows.extend(later);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(last)
    }

    async fn convert(&self, seen: LocalInterval) -> Result<Interval, SyncerError> {
        let mut measured = self.measured.lock().await;
        let fresh = measured.filter(|measured| measured.age(self.clock.now()) < self.max_age);
        let clock = match fresh {
            Some(clock) => clock,
            None => PgClock::measure(self.clock.as_ref(), PgClock::now_us(&self.pool))
                .await
                .map_err(doing("asking for Postgres's clock"))?,
        };
        *measured = Some(clock);
        Ok(clock.convert(seen, self.clock.now()))
    }
}
