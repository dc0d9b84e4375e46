//! What unit tests of this crate share.

use upwrite_events::{
    Ack, Event, Lifecycle, MutationId, MutationRequested, Op, PartitionFold, Position, Row, RowChange, TableName,
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
    MutationRequested {
        mutation,
        requested_at_us: 0,
        database: "app".into(),
        user: "ann".into(),
        application_name: "test".into(),
        ack: Ack::Reconciled,
        in_block: false,
        client_key: None,
        traceparent: None,
        redrive_of: None,
        rows: (0..rows).map(row).collect(),
    }
}

/// What the log holds of a mutation that was only requested.
pub(crate) fn requested(mutation: MutationId, rows: usize) -> Lifecycle {
    let mut fold = PartitionFold::default();
    fold.apply(Position::START, &Event::MutationRequested(request(mutation, rows))).unwrap();
    fold.get(mutation).unwrap().clone()
}
