//! The session's connection to PostgreSQL, with everything that belongs to the connection and not to the client.

use super::own::OwnStatements;
use super::pending::{Expected, Pending};
use super::requests::Requests;
use crate::cancel::CancelSlot;
use crate::wire::{Frame, Side};

/// A session holds it by a handle (`Box<ServerLeg>`) and reaches the server no other way.
pub(crate) struct ServerLeg {
    pub(super) side: Side,
    /// Replies that are still to come.
    pub(super) pending: Pending,
    /// The proxy's prepared statements on this connection, and its secret.
    pub(super) own: OwnStatements,
    /// What a CancelRequest for this connection hits.
    pub(super) cancel: CancelSlot,
}

impl ServerLeg {
    /// `side` has logged in and is idle; the database knows the hash of `own`'s secret.
    pub(crate) fn new(side: Side, own: OwnStatements, cancel: CancelSlot) -> Self {
        Self { side, pending: Pending::default(), own, cancel }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.side.send(bytes);
    }

    /// A message of the client, and the reply that it will have.
    pub(super) fn relay(&mut self, frame: &Frame, expected: Expected) {
        self.side.send(&frame.raw);
        self.pending.push(expected);
    }

    pub(super) fn requests(&mut self) -> Requests<'_> {
        Requests { server: &mut self.side, pending: &mut self.pending, own: &self.own }
    }
}
