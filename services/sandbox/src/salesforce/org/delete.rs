//! Delete (into the recycle bin) of one record, with what hangs on it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{is_deleted, text};
use super::{Org, Txn};
use crate::journal::EffectOp;
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::Object;
use crate::salesforce::stamp;

impl Org {
    /// An account with opportunities cannot go; its contacts go with it.
    pub(crate) fn delete_row(&mut self, txn: &mut Txn, object: &Arc<Object>, id: &str) -> Result<(), ApiError> {
        super::write::writable(object)?;
        let row = self.live(object, id)?.clone();
        self.check_locks(id, &row)?;
        if object.name == "Account" {
            self.refuse_with_opportunities(id, text(&row, "Name").unwrap_or_default())?;
            let contacts = self.children("Contact", id);
            for (_, child) in &contacts {
                self.check_locks(child, &row)?;
            }
            for (child_object, child) in contacts {
                self.bin(txn, &child_object, &child);
            }
        }
        self.bin(txn, object, id);
        Ok(())
    }

    /// Brings a record back from the recycle bin (third-party changes only: the REST API cannot).
    pub(crate) fn undelete_row(&mut self, txn: &mut Txn, object: &Arc<Object>, id: &str) -> Result<(), ApiError> {
        let row = self.table(object).get(id).filter(|row| is_deleted(row)).cloned();
        let mut row = row.ok_or_else(ApiError::no_such_row)?;
        row.insert("IsDeleted", Value::Bool(false));
        row.insert("SystemModstamp", json!(stamp::wire(txn.actor.now)));
        self.put(txn, object, EffectOp::Undelete, id, row);
        Ok(())
    }

    fn refuse_with_opportunities(&self, id: &str, name: &str) -> Result<(), ApiError> {
        let children = self.children("Opportunity", id);
        let Some((object, first)) = children.first() else {
            return Ok(());
        };
        let child = self.table(object).get(first).and_then(|row| text(row, "Name")).unwrap_or_default();
        let message = format!(
            "Your attempt to delete {name} could not be completed because it is associated with the following \
             opportunities.: {child}\n"
        );
        Err(ApiError::data("DELETE_FAILED", message))
    }

    /// Live records of `object` whose `AccountId` is `id`.
    fn children(&self, object: &str, id: &str) -> Vec<(Arc<Object>, String)> {
        let Some(object) = self.object(object) else {
            return Vec::new();
        };
        let ids = self.table(&object).ids_with("AccountId", id).unwrap_or_default();
        ids.into_iter().map(|id| (Arc::clone(&object), id)).collect()
    }

    fn bin(&mut self, txn: &mut Txn, object: &Arc<Object>, id: &str) {
        let Some(mut row) = self.table(object).get(id).cloned() else {
            return;
        };
        let now = json!(stamp::wire(txn.actor.now));
        row.insert("IsDeleted", Value::Bool(true));
        row.insert("LastModifiedDate", now.clone());
        row.insert("SystemModstamp", now);
        row.insert("LastModifiedById", json!(txn.actor.user));
        self.put(txn, object, EffectOp::Delete, id, row);
    }
}
