//! An observation → the log, in Postgres's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::{PgPool, Row as _};
use upwrite_event_log::{EventLog, LogError, partition_for};
use upwrite_events::{
    Event, Interval, MAX_ROWS_PER_OBSERVATION, ObservedRow, Partition, Position, RecordsObserved, Stream, TableName,
};

use crate::error::{SyncerError, doing};

/// How far this process's clock is from Postgres's, and how sure that is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    offset_us: i64,
    error_us: i64,
}

impl Clock {
    /// One question to Postgres: its answer was made somewhere between asking and hearing.
    pub(crate) async fn measure(pool: &PgPool) -> Result<Self, SyncerError> {
        let asked = now_us();
        let row = sqlx::query("/* syncer.clock */ select (extract(epoch from clock_timestamp()) * 1000000)::int8")
            .fetch_one(pool)
            .await
            .map_err(doing("asking for Postgres's clock"))?;
        let heard = now_us();
        let theirs: i64 = row.try_get(0).map_err(doing("asking for Postgres's clock"))?;
        Ok(Self { offset_us: theirs - asked.midpoint(heard), error_us: (heard - asked) / 2 + 1 })
    }

    fn theirs(&self, seen: Interval) -> Interval {
        Interval {
            begun_us: seen.begun_us + self.offset_us - self.error_us,
            ended_us: seen.ended_us + self.offset_us + self.error_us,
        }
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Appends the rows of one read; the last place, or `None` if there were none.
pub(crate) async fn observe(
    log: &dyn EventLog,
    clock: &Clock,
    table: &TableName,
    kind: &str,
    seen: Interval,
    rows: Vec<ObservedRow>,
) -> Result<Option<(Partition, Position)>, SyncerError> {
    // All reads of one table go to one partition: they are merged in the order in which they were made.
    let partition = partition_for(Stream::Observations, table, "", log.partitions());
    let mut last = None;
    let mut rows = rows;
    let mut most = MAX_ROWS_PER_OBSERVATION;
    while !rows.is_empty() {
        let later = rows.split_off(most.min(rows.len()));
        let event = RecordsObserved { table: table.clone(), kind: kind.to_owned(), seen: clock.theirs(seen), rows };
        match log.append(partition, vec![Event::RecordsObserved(event.clone())]).await {
            Ok(positions) => {
                last = positions.last().map(|position| (partition, *position));
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
