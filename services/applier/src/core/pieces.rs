//! A mutation's rows, cut into what one call can carry.

use std::ops::Range;

use upwrite_connectors::{Capabilities, Idempotency};
use upwrite_events::{Op, RowChange, TableName};

/// Consecutive rows of the same table and operation, at most a batch of them. Pieces are sent one after another, each
/// only after the outcome of the one before is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) rows: Range<u32>,
    pub(crate) table: TableName,
    pub(crate) op: Op,
    /// All or none of the rows, if there are several.
    pub(crate) atomic: bool,
    pub(crate) idempotency: Idempotency,
}

/// What makes a resend of this operation safe.
pub(crate) fn idempotency(capabilities: &Capabilities, op: Op) -> Idempotency {
    match op {
        Op::Insert => capabilities.insert,
        Op::Update => capabilities.update,
        Op::Delete => capabilities.delete,
    }
}

/// `capabilities` answers for each table; `Err` names one that is not known.
pub(crate) fn pieces<'a>(
    rows: &[RowChange],
    capabilities: impl Fn(&TableName) -> Option<&'a Capabilities>,
) -> Result<Vec<Piece>, TableName> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (index, row) in (0u32..).zip(rows) {
        let can = capabilities(&row.table).ok_or_else(|| row.table.clone())?;
        let max = u32::try_from(can.max_batch.max(1)).unwrap_or(u32::MAX);
        match pieces.last_mut() {
            Some(last) if last.table == row.table && last.op == row.op && last.rows.end - last.rows.start < max => {
                last.rows.end = index + 1;
                last.atomic = can.atomic_batches;
            }
            _ => pieces.push(Piece {
                rows: index..index + 1,
                table: row.table.clone(),
                op: row.op,
                atomic: false,
                idempotency: idempotency(can, row.op),
            }),
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use upwrite_events::Row;

    use super::*;

    fn capabilities(max_batch: usize) -> Capabilities {
        Capabilities {
            insert: Idempotency::UpsertKey,
            update: Idempotency::Natural,
            delete: Idempotency::Natural,
            max_batch,
            atomic_batches: true,
            request_timeout: Duration::from_secs(1),
            late_effect: Duration::from_secs(2),
            max_concurrency: 1,
            keys_per_read: 200,
        }
    }

    fn change(table: &str, op: Op) -> RowChange {
        let table = TableName::new("sf", table);
        RowChange { table, op, key: "k".into(), version: None, changed: Row::new(), old: Row::new() }
    }

    #[test]
    fn rows_500_make_3_calls_of_at_most_200() {
        let can = capabilities(200);
        let rows = vec![change("a", Op::Insert); 500];
        let cut = pieces(&rows, |_| Some(&can)).unwrap();
        let ranges: Vec<_> = cut.iter().map(|piece| piece.rows.clone()).collect();
        assert_eq!(ranges, [0..200, 200..400, 400..500]);
        assert!(cut.iter().all(|piece| piece.atomic));
    }

    #[test]
    fn order_of_groups_is_kept() {
        let can = capabilities(200);
        let rows = [change("a", Op::Insert), change("a", Op::Insert), change("b", Op::Insert), change("a", Op::Update)];
        let cut = pieces(&rows, |_| Some(&can)).unwrap();
        let shape: Vec<_> = cut.iter().map(|piece| (piece.rows.clone(), piece.op, piece.atomic)).collect();
        assert_eq!(shape, [(0..2, Op::Insert, true), (2..3, Op::Insert, false), (3..4, Op::Update, false)]);
    }

    #[test]
    fn an_unknown_table_is_named() {
        assert_eq!(pieces(&[change("a", Op::Insert)], |_| None), Err(TableName::new("sf", "a")));
    }
}
