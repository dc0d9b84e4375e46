//! What a client asks for.

use serde::{Deserialize, Serialize};

use crate::{MutationId, RowChange};

/// When the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Once the synced table shows it.
    #[default]
    Reconciled,
    /// Once upstream accepted it.
    Applied,
    /// Once the request is durable in the log.
    Accepted,
}

/// A client wants records changed; durable before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationRequested {
    pub mutation: MutationId,
    /// Unix time, microseconds.
    pub requested_at_us: i64,
    pub database: String,
    pub user: String,
    pub application_name: String,
    pub ack: Ack,
    /// Inside a client's transaction block.
    pub in_block: bool,
    /// The client's own key (`upwrite.idempotency_key`), if set.
    pub client_key: Option<String>,
    pub traceparent: Option<String>,
    pub redrive_of: Option<MutationId>,
    /// In captured order, one per record, never empty. Rows of one mutation are all-or-none wherever upstream can.
    pub rows: Vec<RowChange>,
}
