//! How far the reconcilers have folded, and from where on the log is there.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};
use upwrite_event_log::EventLog;
use upwrite_events::{Partition, Position, Stream};

use super::error::{RebuildError, doing};

/// Of every partition of both streams, a position.
pub(super) type Positions = BTreeMap<Partition, Position>;

pub(super) fn partitions(log: &dyn EventLog) -> impl Iterator<Item = Partition> + use<> {
    let all = log.partitions();
    [Stream::Mutations, Stream::Observations]
        .into_iter()
        .flat_map(move |stream| (0..all).map(move |number| Partition { stream, number }))
}

/// Makes sure that there is a row to lock for each partition.
pub(super) async fn ensure(connection: &mut PgConnection, log: &dyn EventLog) -> Result<(), RebuildError> {
    sqlx::query(
        "/* rebuild.positions */ insert into upwrite.positions (stream, partition)
         select s, n from unnest(array['mutations', 'observations']) s, generate_series(0, $1 - 1) n
         on conflict do nothing",
    )
    .bind(i32::from(log.partitions()))
    .execute(connection)
    .await
    .map_err(doing("making positions"))?;
    Ok(())
}

/// As of the connection's snapshot.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Positions, RebuildError> {
    load(connection, "/* rebuild.read_positions */ select stream, partition, next_position from upwrite.positions")
        .await
}

/// As they are, and will be until the transaction ends: no reconciler commits meanwhile.
pub(super) async fn hold(connection: &mut PgConnection) -> Result<Positions, RebuildError> {
    let sql = "/* rebuild.hold_positions */
        select stream, partition, next_position from upwrite.positions order by stream, partition for update";
    load(connection, sql).await
}

async fn load(connection: &mut PgConnection, sql: &'static str) -> Result<Positions, RebuildError> {
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(doing("reading positions"))?;
    let mut positions = Positions::new();
    for row in rows {
        let read = || -> sqlx::Result<(String, i16, i64)> { Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)) };
        let (stream, number, next) = read().map_err(doing("reading positions"))?;
        let stream = [Stream::Mutations, Stream::Observations].into_iter().find(|known| known.as_str() == stream);
        if let (Some(stream), Ok(number)) = (stream, u16::try_from(number)) {
            positions.insert(Partition { stream, number }, Position(next));
        }
    }
    Ok(positions)
}

/// Where the log begins. Fails if a reconciler's position is beyond its end.
pub(super) async fn starts(log: &dyn EventLog, reached: &Positions) -> Result<Positions, RebuildError> {
    let mut starts = Positions::new();
    for partition in partitions(log) {
        starts.insert(partition, log.start(partition).await?);
        let end = log.end(partition).await?;
        let reached = reached.get(&partition).copied().unwrap_or(Position::START);
        if reached > end {
            return Err(RebuildError::Refused(format!(
                "{partition} of the log ends at {end}, and was folded up to {reached}"
            )));
        }
    }
    Ok(starts)
}

/// Whether nothing has gone from the log's beginning.
pub(super) fn are_complete(starts: &Positions) -> bool {
    starts.values().all(|start| *start == Position::START)
}

/// Positions between.
pub(super) fn between(from: &Positions, to: &Positions) -> u64 {
    let gap = |(partition, to): (&Partition, &Position)| {
        let from = from.get(partition).copied().unwrap_or(Position::START);
        u64::try_from(to.0 - from.0).unwrap_or_default()
    };
    to.iter().map(gap).sum()
}
