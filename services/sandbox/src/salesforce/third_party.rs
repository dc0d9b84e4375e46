//! Changes by another user: outside the API, without budget, faults or requests, under the same rules.

use std::sync::Arc;

use time::OffsetDateTime;

use super::error::ApiError;
use super::org::{Actor, Org, Txn};
use super::schema::Object;
use super::vendor::Salesforce;
use crate::vendor::ThirdPartyChange;

impl Salesforce {
    /// Takes a record out of the recycle bin; an error is the refusal as `code: text`.
    pub fn third_party_undelete(&self, object: &str, id: &str) -> Result<(), String> {
        self.by_another(object, |org, txn, object| org.undelete_row(txn, object, id))
    }

    pub(super) fn changed_by_another(&self, object: &str, change: ThirdPartyChange<'_>) -> Result<String, String> {
        self.by_another(object, |org, txn, object| match change {
            ThirdPartyChange::Create(fields) => org.create_row(txn, object, fields),
            ThirdPartyChange::Update(id, fields) => org.update_row(txn, object, id, fields).map(|()| id.to_owned()),
            ThirdPartyChange::Delete(id) => org.delete_row(txn, object, id).map(|()| id.to_owned()),
        })
    }

    fn by_another<T>(
        &self,
        object: &str,
        change: impl FnOnce(&mut Org, &mut Txn, &Arc<Object>) -> Result<T, ApiError>,
    ) -> Result<T, String> {
        let mut service = self.service();
        let org = &mut service.org;
        let shown = |e: ApiError| format!("{}: {}", e.code, e.message);
        let object = org.object_or_type_error(object).map_err(shown)?;
        let mut txn = Txn::new(Actor {
            now: OffsetDateTime::now_utc(),
            user: org.other_user.clone(),
            request: None,
            allow_duplicates: true,
            refuse: None,
        });
        let done = change(org, &mut txn, &object);
        match &done {
            Ok(_) => org.commit(txn),
            Err(_) => org.rollback(txn),
        }
        done.map_err(shown)
    }
}
