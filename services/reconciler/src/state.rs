//! What the reconciler carries from batch to batch. Pure.

use std::collections::HashMap;

use upwrite_events::{MutationId, MutationRequested, PartitionFold, TableName, TableSpec};

use crate::status::Status;

/// Read again from Postgres whenever a batch fails.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) folds: HashMap<u16, PartitionFold>,
    /// Mutations that are not released yet.
    pub(crate) tracked: HashMap<MutationId, Tracked>,
    pub(crate) specs: HashMap<TableName, TableSpec>,
}

#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) request: Option<MutationRequested>,
    pub(crate) status: Status,
    /// Images of this mutation that wait for a lock.
    pub(crate) parked: usize,
}
