//! What a client asks for.

use serde::{Deserialize, Serialize};

use crate::{MutationId, RowChange};

/// What the client waits for.
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

impl MutationRequested {
    /// A request of an unnamed client outside a transaction block, at time 0, with everything else as when it sets
    /// nothing.
    pub fn new(mutation: MutationId, rows: Vec<RowChange>) -> Self {
        Self {
            mutation,
            requested_at_us: 0,
            database: String::new(),
            user: String::new(),
            application_name: String::new(),
            ack: Ack::default(),
            in_block: false,
            client_key: None,
            traceparent: None,
            redrive_of: None,
            rows,
        }
    }

    /// Unix time, microseconds.
    #[must_use]
    pub fn at(self, requested_at_us: i64) -> Self {
        Self { requested_at_us, ..self }
    }

    #[must_use]
    pub fn from_client(
        self,
        database: impl Into<String>,
        user: impl Into<String>,
        application_name: impl Into<String>,
    ) -> Self {
        Self { database: database.into(), user: user.into(), application_name: application_name.into(), ..self }
    }
}
