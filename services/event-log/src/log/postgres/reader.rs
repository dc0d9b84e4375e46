//! Reading what is there: a range, and where partitions begin and end.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::timeout;
use upwrite_events::{DecodeError, EVENT_SCHEMAS, Partition, Position, Stream, decode};

use crate::log::appender::Item;
use crate::{LogError, LogRecord, Undecodable};

/// Encoded bytes in one read, unless one record alone is larger.
const READ_BYTES: i64 = 8 * 1024 * 1024;
const READ: &str = "/* event-log.read */ \
    select position, (extract(epoch from appended_at) * 1000000)::bigint, event, mutation is not null, value \
      from (select l.position, l.appended_at, l.event, l.mutation, l.value, \
                   sum(octet_length(l.value)) over (order by l.position) - octet_length(l.value) as before \
              from upwrite.log l \
             where l.stream = $1 and l.partition = $2 and l.position >= $3 \
             order by l.position limit $4) as wanted \
     where before < $5 order by position";

/// Makes missing counters, and returns the number of partitions.
pub(crate) async fn open(pool: &PgPool, patience: Duration) -> Result<u16, LogError> {
    let opened = sqlx::query_scalar::<_, Option<i16>>("/* event-log.open */ select upwrite.open_log()").fetch_one(pool);
    let partitions = answered(patience, opened).await?;
    partitions
        .and_then(|partitions| u16::try_from(partitions).ok())
        .filter(|partitions| *partitions > 0)
        .ok_or_else(|| LogError::Mismatch("this database is not set up: run `upwrite setup`".to_owned()))
}

/// Reads through a pool.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pool: PgPool,
    patience: Duration,
}

impl Reader {
    pub(crate) fn new(pool: PgPool, patience: Duration) -> Self {
        Self { pool, patience }
    }

    /// Where every partition ends.
    pub(crate) async fn ends(&self) -> Result<Vec<(Partition, Position)>, LogError> {
        let query = "/* event-log.ends */ select stream, partition, next_position from upwrite.log_partitions";
        let rows = sqlx::query_as::<_, (String, i16, i64)>(query).fetch_all(&self.pool);
        let rows = answered(self.patience, rows).await?;
        let known = |(stream, number, end): (String, i16, i64)| {
            let stream = [Stream::Mutations, Stream::Observations].into_iter().find(|s| s.as_str() == stream)?;
            Some((Partition { stream, number: u16::try_from(number).ok()? }, Position(end)))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// The first position that is still there; the end if there is none. In one snapshot: between two, the first event of
    /// a partition would look like one that is gone.
    pub(crate) async fn start(&self, partition: Partition) -> Result<Position, LogError> {
        let query = "/* event-log.start */ select coalesce( \
            (select position from upwrite.log where stream = $1 and partition = $2 order by position limit 1), \
            (select next_position from upwrite.log_partitions where stream = $1 and partition = $2))";
        let start = sqlx::query_scalar::<_, Option<i64>>(query)
            .bind(partition.stream.as_str())
            .bind(number(partition))
            .fetch_one(&self.pool);
        let start = answered(self.patience, start).await?;
        start.map(Position).ok_or_else(|| LogError::Mismatch(format!("{partition} has no counter")))
    }

    pub(crate) async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        let query = "/* event-log.end */ \
            select next_position from upwrite.log_partitions where stream = $1 and partition = $2";
        let end = sqlx::query_scalar::<_, i64>(query)
            .bind(partition.stream.as_str())
            .bind(number(partition))
            .fetch_optional(&self.pool);
        let end = answered(self.patience, end).await?;
        end.map(Position).ok_or_else(|| LogError::Mismatch(format!("{partition} has no counter")))
    }

    /// Committed records from `from` on: none if it is the end.
    pub(crate) async fn read(
        &self,
        partition: Partition,
        from: Position,
        limit: usize,
    ) -> Result<Vec<LogRecord>, LogError> {
        let rows = sqlx::query_as::<_, (i64, i64, String, bool, Vec<u8>)>(READ)
            .bind(partition.stream.as_str())
            .bind(number(partition))
            .bind(from.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(READ_BYTES)
            .fetch_all(&self.pool);
        let rows = answered(self.patience * 5, rows).await?;
        let mut records = Vec::with_capacity(rows.len());
        for (position, appended_at_us, name, of_a_mutation, value) in rows {
            let position = Position(position);
            let event = match decode(&value) {
                Err(DecodeError::UnknownSchema { .. }) if of_a_mutation || is_known(&name) => {
                    if records.is_empty() {
                        return Err(LogError::Newer(format!("position {position} of {partition} is {name:?}")));
                    }
                    // What comes before it is read first.
                    break;
                }
                decoded => decoded.map_err(|error| Undecodable { reason: error.to_string(), value }),
            };
            records.push(LogRecord { partition, position, appended_at_us, event });
        }
        match (from.0..).zip(&records).find(|(expected, record)| record.position.0 != *expected) {
            None => Ok(records),
            Some((expected, record)) => Err(LogError::Mismatch(format!(
                "{partition} has no position {expected}; after it comes {}",
                record.position
            ))),
        }
    }
}

/// Whether this program knows an event of that name, in whichever version.
fn is_known(event: &str) -> bool {
    EVENT_SCHEMAS.iter().any(|schema| schema.event == event)
}

fn number(partition: Partition) -> i16 {
    // No deployment has so many partitions (a check in upwrite.deployment): nothing is found.
    i16::try_from(partition.number).unwrap_or(-1)
}

async fn answered<T>(patience: Duration, query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, LogError> {
    match timeout(patience, query).await {
        Ok(answer) => answer.map_err(|error| LogError::Unavailable(error.to_string())),
        Err(_) => Err(LogError::Unavailable(format!("no answer within {patience:?}"))),
    }
}

/// What readers will see of an item that was appended at `first`.
pub(crate) fn records(item: &Item, first: Position, appended_at_us: i64) -> Vec<LogRecord> {
    (first.0..)
        .zip(&item.events)
        .map(|(position, encoded)| LogRecord {
            partition: item.partition,
            position: Position(position),
            appended_at_us,
            event: Ok(encoded.event.clone()),
        })
        .collect()
}
