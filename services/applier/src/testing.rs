//! What unit tests of this crate share.

use upwrite_events::{
    Event, Lifecycle, MutationId, MutationRequested, Op, PartitionFold, Position, Row, RowChange, TableName,
};

/// A request that inserts `rows` rows.
pub(crate) fn request(mutation: MutationId, rows: usize) -> MutationRequested {
    let row = |index| RowChange {
        table: TableName::new("sf", "contact"),
        op: Op::Insert,
        key: format!("pending:{index}"),
        version: None,
        changed: Row::new(),
        old: Row::new(),
    };
    MutationRequested::new(mutation, (0..rows).map(row).collect()).from_client("app", "ann", "test")
}

/// What the log holds of a mutation that was only requested.
pub(crate) fn requested(mutation: MutationId, rows: usize) -> Lifecycle {
    let mut fold = PartitionFold::default();
    fold.apply(Position::START, &Event::MutationRequested(request(mutation, rows))).unwrap();
    fold.get(mutation).unwrap().clone()
}
