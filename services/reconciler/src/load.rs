//! Where to go on: takes the positions over and reads what is unfinished, in one transaction.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::{Connection as _, PgConnection, Row as _, types::Json};
use upwrite_event_log::EventLog;
use upwrite_events::{Event, MutationId, OwnerId, Partition, PartitionFold, Position, Stream, TableName, TableSpec};

use crate::check::check;
use crate::error::{ReconcilerError, doing};
use crate::state::{State, Tracked};
use crate::status::Status;

/// Requests read again at the same time.
const REQUEST_READS: usize = 16;

/// Everything the loop begins with.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) state: State,
    pub(crate) positions: HashMap<Partition, Position>,
    /// When the record before each position was appended, if that is known.
    pub(crate) stamps: HashMap<Partition, i64>,
    /// Raised by every start: a reconciler with an older one can no longer commit.
    pub(crate) epochs: HashMap<Partition, i64>,
}

/// Takes over partitions `items` of both streams, and nothing of others.
pub(crate) async fn load(
    connection: &mut PgConnection,
    log: &dyn EventLog,
    items: &BTreeSet<u16>,
) -> Result<Start, ReconcilerError> {
    let mut tx = connection.begin().await.map_err(doing("beginning the start"))?;
    let mut start = Start::default();
    let items: Vec<i16> = items.iter().filter_map(|item| i16::try_from(*item).ok()).collect();
    let owners = take_over(&mut tx, &items, &mut start).await?;
    let mut lives = unreleased(&mut tx, &items, &mut start.state).await?;
    start.state.specs = specs(&mut tx).await?;
    tx.commit().await.map_err(doing("committing the start"))?;
    for (number, owner) in owners {
        let lives = lives.remove(&number).unwrap_or_default();
        start.state.folds.insert(number, PartitionFold::restore(owner, lives));
    }
    check(log, &start.positions, &start.stamps).await?;
    requests(&mut start.state, log).await?;
    Ok(start)
}

/// Number, position, owner there, epoch, stamp.
type TakenOver = (i16, i64, Option<uuid::Uuid>, i64, Option<i64>);

/// Raises the epoch of these partitions of both streams, in one order for everybody.
async fn take_over(
    tx: &mut PgConnection,
    items: &[i16],
    start: &mut Start,
) -> Result<HashMap<u16, Option<OwnerId>>, ReconcilerError> {
    let mut owners = HashMap::new();
    for stream in [Stream::Mutations, Stream::Observations] {
        let rows: Vec<TakenOver> = sqlx::query_as(
            "/* reconciler.take_over */
             insert into upwrite.positions as p (stream, partition, epoch)
             select $1, n, 1 from unnest($2::int2[]) n order by n
             on conflict (stream, partition) do update set epoch = p.epoch + 1
             returning partition, next_position, owner, epoch, stamp_us",
        )
        .bind(stream.as_str())
        .bind(items)
        .fetch_all(&mut *tx)
        .await
        .map_err(doing("taking the log positions over"))?;
        for (number, next, owner, epoch, stamp) in rows {
            let partition = Partition { stream, number: u16::try_from(number).unwrap_or_default() };
            start.positions.insert(partition, Position(next));
            start.stamps.extend(stamp.map(|stamp| (partition, stamp)));
            start.epochs.insert(partition, epoch);
            if stream == Stream::Mutations {
                owners.insert(partition.number, owner.map(OwnerId));
            }
        }
    }
    Ok(owners)
}

type Lifecycles = HashMap<u16, Vec<(MutationId, upwrite_events::Lifecycle)>>;

async fn unreleased(tx: &mut PgConnection, items: &[i16], state: &mut State) -> Result<Lifecycles, ReconcilerError> {
    let rows = sqlx::query(include_str!("unreleased.sql"))
        .bind(items)
        .fetch_all(tx)
        .await
        .map_err(doing("reading unfinished mutations"))?;
    let mut lives = Lifecycles::new();
    for row in rows {
        let read = || -> sqlx::Result<(Json<Status>, i64)> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let (Json(status), parked) = read().map_err(|source| ReconcilerError::Corrupt {
            what: "a row of upwrite.mutations",
            reason: source.to_string(),
        })?;
        let mutation = MutationId(status.id);
        if let Some(life) = status.lifecycle.clone() {
            lives.entry(u16::try_from(status.partition).unwrap_or_default()).or_default().push((mutation, life));
        }
        let parked = usize::try_from(parked).unwrap_or_default();
        state.tracked.insert(mutation, Tracked { request: None, status, parked });
    }
    Ok(lives)
}

async fn specs(tx: &mut PgConnection) -> Result<HashMap<TableName, TableSpec>, ReconcilerError> {
    let rows = sqlx::query("/* reconciler.specs */ select spec from upwrite.tables")
        .fetch_all(tx)
        .await
        .map_err(doing("reading the synced tables"))?;
    rows.iter()
        .map(|row| {
            let Json(spec) = row.try_get::<Json<TableSpec>, _>(0).map_err(|source| ReconcilerError::Corrupt {
                what: "a table's specification in upwrite.tables",
                reason: source.to_string(),
            })?;
            Ok((spec.name.clone(), spec))
        })
        .collect()
}

/// Reads the requests of unfinished mutations again, each at its own place.
async fn requests(state: &mut State, log: &dyn EventLog) -> Result<(), ReconcilerError> {
    let wanted = state.tracked.iter().filter(|(_, tracked)| tracked.status.state != "voided");
    let wanted: Vec<_> = wanted.map(|(id, tracked)| (*id, tracked.status.partition, tracked.status.position)).collect();
    let reads = wanted.into_iter().map(|(mutation, number, position)| async move {
        let number = u16::try_from(number).unwrap_or_default();
        let partition = Partition { stream: Stream::Mutations, number };
        let records = log.read(partition, Position(position), 1).await?;
        match records.into_iter().next().map(|record| record.event) {
            Some(Ok(Event::MutationRequested(request))) if request.mutation == mutation => Ok(request),
            // Without it the mutation's rows could not be written, and the client would be told of success all the same.
            _ => Err(ReconcilerError::Corrupt {
                what: "the request of an unfinished mutation",
                reason: format!("it is not at position {position} of {partition}"),
            }),
        }
    });
    // Collected first: a borrowing iterator kept across the await would make the whole future not `Send`.
    let reads: Vec<_> = reads.collect();
    let requests: Vec<_> = stream::iter(reads).buffer_unordered(REQUEST_READS).try_collect().await?;
    for request in requests {
        if let Some(tracked) = state.tracked.get_mut(&request.mutation) {
            tracked.request = Some(request);
        }
    }
    Ok(())
}
