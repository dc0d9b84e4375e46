//! The last statement of a transaction, and what keeps a reconciler that lost a partition from committing.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _, SqlStr, types::Json};
use upwrite_events::Partition;

use crate::error::{ReconcilerError, doing};
use crate::images::Write;
use crate::mutation_columns;
use crate::plan::{Advances, Plan};
use crate::records::RecordUpdates;
use crate::state::State;
use crate::status::Status;

/// The end of a transaction: what is known of the records it wrote, the mutations' rows, the claims of those that are
/// released or voided, the positions (if this reconciler is still the one that may move them). Times that mean "now" are
/// the database's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    shown: &'a RecordUpdates,
    statuses: &'a [Status],
    positions: &'a Advances,
    epochs: &'a HashMap<Partition, i64>,
    /// See [`Plan::may_be_lost`].
    may_be_lost: bool,
}

static PARTS: LazyLock<String> = LazyLock::new(|| {
    include_str!("finish.sql")
        .replace("@columns@", &mutation_columns::names().collect::<Vec<_>>().join(", "))
        .replace("@values@", &mutation_columns::values())
        .replace("@fields@", mutation_columns::FIELDS)
});
const END: &str = "upwrite.end_batch((select count(*) from moved), cardinality($3), (select count(*) from added), \
    jsonb_array_length($9), $2, $11)";
/// Without a write.
static FINISH: LazyLock<String> = LazyLock::new(|| format!("/* reconciler.finish */ with {} select {END}", *PARTS));
/// The first parameter of a write that shares the statement.
pub(crate) const WRITE_PARAMETER: usize = 12;

static NO_POSITIONS: Advances = Advances::new();

impl<'a> Ending<'a> {
    /// Of a batch's transaction.
    pub(crate) fn of_batch(
        plan: &'a Plan,
        state: &State,
        shown: &'a RecordUpdates,
        statuses: &'a [Status],
        epochs: &'a HashMap<Partition, i64>,
    ) -> Self {
        Self { shown, statuses, positions: &plan.positions, epochs, may_be_lost: plan.may_be_lost(state) }
    }

    /// Of a transaction that reads nothing of the log.
    pub(crate) fn without_positions(
        shown: &'a RecordUpdates,
        statuses: &'a [Status],
        epochs: &'a HashMap<Partition, i64>,
    ) -> Self {
        Self { shown, statuses, positions: &NO_POSITIONS, epochs, may_be_lost: false }
    }

    /// In one statement, with what it ends where that is but one write (its parameters are from [`WRITE_PARAMETER`] on):
    /// rows before records, like everybody else, so that no two wait for each other.
    pub(crate) async fn execute(
        &self,
        connection: &mut PgConnection,
        write: Option<Write>,
    ) -> Result<(), ReconcilerError> {
        let (sql, arrays) = match write {
            None => (SqlStr::from_static(&FINISH), Vec::new()),
            Some(Write { ctes, arrays }) => {
                let rows_first = "(select count(*) from written)";
                let sql = format!("/* reconciler.batch */ with {ctes}, {} select {rows_first}, {END}", *PARTS);
                (AssertSqlSafe(sql).into_sql_str(), arrays)
            }
        };
        let Self { shown, statuses, positions, epochs, may_be_lost } = *self;
        let query = sqlx::query(sql)
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
            .bind(may_be_lost);
        let query = arrays.into_iter().fold(query, sqlx::query::Query::bind);
        query.execute(connection).await.map(drop).map_err(|error| refused(error, positions))
    }
}

/// What `upwrite.end_batch` says.
fn refused(error: sqlx::Error, positions: &Advances) -> ReconcilerError {
    let code = error.as_database_error().and_then(|error| error.code());
    match (code.as_deref(), positions.keys().next()) {
        (Some("UW003"), Some(partition)) => ReconcilerError::Ousted(*partition),
        (Some("UW004"), _) => ReconcilerError::Raced,
        _ => doing("writing statuses and positions")(error),
    }
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
