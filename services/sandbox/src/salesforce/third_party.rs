//! Changes by somebody else: outside the API, without budget, faults or requests, under the same rules.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Actor, Org, Txn};
use crate::salesforce::schema::Object;
use crate::sandbox::Sandbox;

impl Sandbox {
    /// A third party's create, outside the API; returns the id, or the refusal's code and text.
    pub fn third_party_create(&self, object: &str, fields: &Map<String, Value>) -> Result<String, String> {
        self.third_party(object, |org, txn, object| org.create_row(txn, object, fields))
    }

    /// A third party's update.
    pub fn third_party_update(&self, object: &str, id: &str, fields: &Map<String, Value>) -> Result<(), String> {
        self.third_party(object, |org, txn, object| org.update_row(txn, object, id, fields))
    }

    /// A third party's delete.
    pub fn third_party_delete(&self, object: &str, id: &str) -> Result<(), String> {
        self.third_party(object, |org, txn, object| org.delete_row(txn, object, id))
    }

    /// A third party's undelete.
    pub fn third_party_undelete(&self, object: &str, id: &str) -> Result<(), String> {
        self.third_party(object, |org, txn, object| org.undelete_row(txn, object, id))
    }

    fn third_party<T>(
        &self,
        object: &str,
        change: impl FnOnce(&mut Org, &mut Txn, &Arc<Object>) -> Result<T, ApiError>,
    ) -> Result<T, String> {
        let mut service = self.service();
        let org = &mut service.org;
        let told = |e: ApiError| format!("{}: {}", e.code, e.message);
        let object = org.object_or_type_error(object).map_err(told)?;
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
        drop(service);
        self.touch();
        done.map_err(told)
    }
}
