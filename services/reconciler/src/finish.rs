//! The last statement of a transaction, and what keeps a reconciler that lost a partition from committing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{PgConnection, types::Json};
use upwrite_events::{OwnerId, Partition, Position};

use crate::error::{ReconcilerError, doing};
use crate::records::Shown;
use crate::status::Status;

/// How far a batch moves a partition on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The first position not folded.
    pub(crate) next: Position,
    /// The partition's applier there.
    pub(crate) owner: Option<OwnerId>,
    /// When the last folded record was appended: what tells this log from another one that is as long.
    pub(crate) stamp_us: i64,
}

pub(crate) type Positions = BTreeMap<Partition, Moved>;

/// The end of a transaction: what is known of the records it wrote, the mutations' rows, the claims of those that are
/// released or voided, the positions (if this reconciler is still the one that may move them). Times that mean "now" are
/// the database's.
pub(crate) async fn finish(
    tx: &mut PgConnection,
    shown: &Shown,
    statuses: &[Status],
    positions: &Positions,
    epochs: &HashMap<Partition, i64>,
) -> Result<(), ReconcilerError> {
    let (added, moved, _): (i64, i64, Option<String>) = sqlx::query_as(include_str!("finish.sql"))
        .bind(Json(statuses))
        .bind(without_claims(statuses))
        .bind(positions.keys().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
        .bind(positions.keys().map(|partition| i64::from(partition.number)).collect::<Vec<_>>())
        .bind(positions.values().map(|moved| moved.next.0).collect::<Vec<_>>())
        .bind(positions.values().map(|moved| moved.owner.map(|id| id.0)).collect::<Vec<_>>())
        .bind(positions.keys().map(|partition| epochs.get(partition).copied().unwrap_or(-1)).collect::<Vec<_>>())
        .bind(Json(&shown.changed))
        .bind(Json(&shown.added))
        .bind(positions.values().map(|moved| moved.stamp_us).collect::<Vec<_>>())
        .fetch_one(tx)
        .await
        .map_err(doing("writing statuses and positions"))?;
    if let Some(partition) = positions.keys().next()
        && usize::try_from(moved).ok() != Some(positions.len())
    {
        return Err(ReconcilerError::Ousted(*partition));
    }
    if usize::try_from(added).ok() != Some(shown.added.len()) {
        return Err(ReconcilerError::Raced);
    }
    Ok(())
}

fn without_claims(statuses: &[Status]) -> Vec<uuid::Uuid> {
    statuses.iter().filter(|status| !status.has_claims()).map(|status| status.id).collect()
}

/// Fences a transaction that moves no position: fails if another reconciler has taken over one of these partitions, and
/// makes one that wants to wait until this transaction has ended.
pub(crate) async fn hold_epochs(
    tx: &mut PgConnection,
    partitions: &BTreeSet<Partition>,
    epochs: &HashMap<Partition, i64>,
) -> Result<(), ReconcilerError> {
    let Some(first) = partitions.first() else { return Ok(()) };
    let held = sqlx::query(
        "/* reconciler.hold_epochs */
         select 1 from unnest($1::text[], $2::int8[], $3::int8[]) as x (stream, partition, epoch)
           join upwrite.positions p on p.stream = x.stream and p.partition = x.partition and p.epoch = x.epoch
            for share of p",
    )
    .bind(partitions.iter().map(|partition| partition.stream.as_str()).collect::<Vec<_>>())
    .bind(partitions.iter().map(|partition| i64::from(partition.number)).collect::<Vec<_>>())
    .bind(partitions.iter().map(|partition| epochs.get(partition).copied().unwrap_or(-1)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(doing("holding the epochs"))?;
    if held.len() == partitions.len() { Ok(()) } else { Err(ReconcilerError::Ousted(*first)) }
}
