//! Undo and effects of the writes of one request.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Org, Row};
use crate::journal::{Effect, EffectOp, unix_ms};
use crate::salesforce::schema::{KEY_FIELD, Object};
use crate::vendor::RowRefusal;

/// On whose behalf, and when, a request writes.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) now: OffsetDateTime,
    pub(crate) user: String,
    /// Number of the API request; none for third-party changes.
    pub(crate) request: Option<u64>,
    /// The caller accepts duplicates that an alerting rule finds.
    pub(crate) allow_duplicates: bool,
    /// Rows of a collection that the test wants refused, with the refusal.
    pub(crate) refuse: Option<RowRefusal>,
}

/// Writes that can still be taken back.
#[derive(Debug)]
pub(crate) struct Txn {
    pub(crate) actor: Actor,
    undo: Vec<(Arc<Object>, String, Option<Row>)>,
    effects: Vec<Effect>,
}

impl Txn {
    pub(crate) fn new(actor: Actor) -> Self {
        Self { actor, undo: Vec::new(), effects: Vec::new() }
    }
}

impl Org {
    /// Writes a row and remembers how to take it back.
    pub(super) fn put(&mut self, txn: &mut Txn, object: &Arc<Object>, op: EffectOp, id: &str, row: Row) {
        let before = self.table(object).get(id).cloned();
        let changes = super::change::between(object, before.as_ref(), &row, op);
        let key = [Some(&row), before.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|r| super::table::text(r, KEY_FIELD).map(str::to_owned));
        txn.effects.push(Effect {
            seq: 0,
            at_ms: unix_ms(txn.actor.now),
            op,
            object: object.name.to_owned(),
            id: id.to_owned(),
            key,
            changes,
            request: txn.actor.request,
            user: txn.actor.user.clone(),
        });
        self.table_mut(object).put(id, row);
        txn.undo.push((Arc::clone(object), id.to_owned(), before));
    }

    /// Makes the writes final: numbers their effects in the order of the writes. Inside a span that was opened
    /// with [`Org::open`], they join it instead.
    pub(crate) fn commit(&mut self, txn: Txn) {
        if let Some(outer) = &mut self.outer {
            outer.undo.extend(txn.undo);
            outer.effects.extend(txn.effects);
            return;
        }
        for effect in txn.effects {
            self.journal.push(effect);
        }
    }

    /// Opens a span of several transactions that succeed or fail together (`allOrNone` of a composite).
    pub(crate) fn open(&mut self, actor: Actor) {
        self.outer = Some(Txn::new(actor));
    }

    /// Ends the span.
    pub(crate) fn close(&mut self, keep: bool) {
        match self.outer.take() {
            Some(outer) if keep => self.commit(outer),
            Some(outer) => self.rollback(outer),
            None => {}
        }
    }

    /// Takes everything back.
    pub(crate) fn rollback(&mut self, txn: Txn) {
        for (object, id, before) in txn.undo.into_iter().rev() {
            let table = self.table_mut(&object);
            match before {
                Some(row) => drop(table.put(&id, row)),
                None => table.remove(&id),
            }
        }
    }
}
