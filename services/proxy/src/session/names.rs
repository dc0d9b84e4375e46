//! What the client's statement and portal names stand for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::result_set::ResultSet;
use crate::classify::{Kind, PossibleWrite, Statement};
use crate::wire::Frame;

/// A prepared statement of the client's.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) sql: Bytes,
    /// Of the catalog by which it was classified.
    pub(super) generation: u64,
    pub(super) statements: Arc<[Statement]>,
}

/// A portal of the client's.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) statements: Arc<[Statement]>,
    /// The client's Bind, for running it again.
    pub(super) bind: Frame,
    /// The server lost it when the proxy ended the implicit transaction.
    pub(super) lost: bool,
    pub(super) result: Option<ResultSet>,
    /// Syncs of the client before it was bound.
    pub(super) epoch: u64,
}

/// What a name stood for before a Parse.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    name: Bytes,
    before: Option<Prepared>,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    statements: HashMap<Bytes, Prepared>,
    pub(super) portals: HashMap<Bytes, Portal>,
    /// Syncs of the client so far.
    pub(super) epoch: u64,
}

impl Names {
    pub(super) fn statement(&mut self, name: &Bytes) -> Option<&mut Prepared> {
        self.statements.get_mut(name)
    }

    pub(super) fn define(&mut self, name: Bytes, prepared: Prepared) -> Undo {
        let before = self.statements.insert(owned(&name), prepared);
        Undo { name, before }
    }

    /// The Parse failed or was skipped.
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => self.statements.insert(undo.name, before),
            None => self.statements.remove(&undo.name),
        };
    }

    pub(super) fn close_statement(&mut self, name: &Bytes) {
        self.statements.remove(name);
    }

    /// `DISCARD ALL`, `DEALLOCATE ALL`.
    pub(super) fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// The client's transaction is over, as of its last Sync that was answered. What it has bound since then stays.
    pub(super) fn transaction_ended(&mut self) {
        let epoch = self.epoch;
        self.portals.retain(|_, portal| portal.epoch == epoch);
    }

    /// The proxy ended the implicit transaction, and the client's portals with it.
    pub(super) fn lose_portals(&mut self) {
        self.portals.values_mut().for_each(|portal| portal.lost = true);
    }
}

/// A copy: a slice would keep the whole message in memory.
pub(super) fn owned(name: &Bytes) -> Bytes {
    Bytes::copy_from_slice(name)
}

/// For a name that was not prepared here (by SQL `PREPARE`, perhaps): it may do anything.
pub(super) fn unknown() -> Arc<[Statement]> {
    Arc::new([Statement { text: Arc::from(""), kind: Kind::Captured(Box::default()) }])
}

/// The only statement, if it is captured.
pub(super) fn possible_write(statements: &[Statement]) -> Option<&PossibleWrite> {
    match statements {
        [Statement { kind: Kind::Captured(write), .. }] => Some(write),
        _ => None,
    }
}
