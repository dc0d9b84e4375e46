//! Create, update and upsert of one record. Each call changes everything it means to, or nothing.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::table::{is_deleted, text};
use super::{Org, Purpose, Row, Txn};
use crate::journal::EffectOp;
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::{Field, Kind, Object, STAGES};
use crate::salesforce::{id, stamp};

/// What an upsert did.
#[derive(Debug)]
pub(crate) struct Upserted {
    pub(crate) id: String,
    pub(crate) created: bool,
}

impl Org {
    pub(crate) fn create_row(
        &mut self,
        txn: &mut Txn,
        object: &Arc<Object>,
        input: &Map<String, Value>,
    ) -> Result<String, ApiError> {
        writable(object)?;
        let mut row = self.accept(object, input, Purpose::Create)?;
        let now = json!(stamp::wire(txn.actor.now));
        let user = json!(txn.actor.user);
        for field in &object.fields {
            if !field.default.is_null() {
                row.entry(field.name).or_insert_with(|| field.default.clone());
            }
        }
        if object.field("OwnerId").is_some() && row.get("OwnerId").is_none_or(Value::is_null) {
            row.insert("OwnerId", user.clone());
        }
        default_probability(object, &mut row, None);
        required(object, &row)?;
        for (name, value) in [
            ("CreatedDate", &now),
            ("LastModifiedDate", &now),
            ("SystemModstamp", &now),
            ("CreatedById", &user),
            ("LastModifiedById", &user),
        ] {
            row.insert(name, value.clone());
        }
        self.check(txn, object, "", None, &row)?;
        let number = self.table_mut(object).next_number();
        let id = id::make(object.key_prefix, &self.instance, number);
        row.insert("Id", json!(id));
        for field in &object.fields {
            if let Some(prefix) = field.auto_number {
                row.insert(field.name, json!(format!("{prefix}{number:06}")));
            }
        }
        self.put(txn, object, EffectOp::Create, &id, row);
        Ok(id)
    }

    pub(crate) fn update_row(
        &mut self,
        txn: &mut Txn,
        object: &Arc<Object>,
        id: &str,
        input: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        writable(object)?;
        let given = self.accept(object, input, Purpose::Update)?;
        let before = self.live(object, id)?.clone();
        let mut row = before.clone();
        let given_probability = given.contains_key("Probability");
        row.extend(given);
        if !given_probability {
            default_probability(object, &mut row, Some(&before));
        }
        required(object, &row)?;
        self.check(txn, object, id, Some(&before), &row)?;
        let now = json!(stamp::wire(txn.actor.now));
        row.insert("LastModifiedDate", now.clone());
        row.insert("SystemModstamp", now);
        row.insert("LastModifiedById", json!(txn.actor.user));
        self.put(txn, object, EffectOp::Update, id, row);
        Ok(())
    }

    /// Creates or updates by an external id. `update_only` refuses to create.
    pub(crate) fn upsert_row(
        &mut self,
        txn: &mut Txn,
        object: &Arc<Object>,
        (field, key): (&Field, &str),
        input: &Map<String, Value>,
        update_only: bool,
    ) -> Result<Upserted, ApiError> {
        let found = self.table(object).ids_with(field.name, key).unwrap_or_default();
        if let Some(id) = found.into_iter().next() {
            self.update_row(txn, object, &id, input)?;
            return Ok(Upserted { id, created: false });
        }
        if update_only {
            return Err(ApiError::not_found());
        }
        let mut input = input.clone();
        input.insert(field.name.to_owned(), json!(key));
        let id = self.create_row(txn, object, &input)?;
        Ok(Upserted { id, created: true })
    }

    /// The record, if it exists and is not in the recycle bin.
    pub(crate) fn live(&self, object: &Object, id: &str) -> Result<&Row, ApiError> {
        match self.table(object).get(id) {
            None => Err(ApiError::no_such_row()),
            Some(row) if is_deleted(row) => Err(ApiError::deleted()),
            Some(row) => Ok(row),
        }
    }

    /// Everything that depends on other records and on rules.
    fn check(&self, txn: &Txn, object: &Object, id: &str, before: Option<&Row>, row: &Row) -> Result<(), ApiError> {
        let changed = |f: &Field| before.is_none_or(|b| b.get(f.name) != row.get(f.name));
        self.check_locks(id, row)?;
        for field in object.fields.iter().filter(|f| f.kind == Kind::Reference && changed(f)) {
            self.check_reference(field, row)?;
        }
        self.check_rules(object, row)?;
        self.check_duplicates(txn, object, id, row, changed)?;
        for field in object.fields.iter().filter(|f| f.external_id) {
            let Some(key) = text(row, field.name) else {
                continue;
            };
            if let Some(other) = self.table(object).other_with(field.name, key, id) {
                let message =
                    format!("duplicate value found: {} duplicates value on record with id: {other}", field.name);
                return Err(ApiError::data("DUPLICATE_VALUE", message));
            }
        }
        Ok(())
    }

    /// The vendor locks the record and its parent account.
    pub(super) fn check_locks(&self, id: &str, row: &Row) -> Result<(), ApiError> {
        let held = [id, text(row, "AccountId").unwrap_or_default()].into_iter().find(|id| self.locked.contains(*id));
        match held {
            None => Ok(()),
            Some(id) => {
                let message = format!("unable to obtain exclusive access to this record or 1 records: {id}");
                Err(ApiError::data("UNABLE_TO_LOCK_ROW", message))
            }
        }
    }

    fn check_reference(&self, field: &Field, row: &Row) -> Result<(), ApiError> {
        let Some(target) = text(row, field.name) else {
            return Ok(());
        };
        let Some(object) = self.object_of_id(target).filter(|o| o.name == field.reference_to) else {
            let message = format!("{}: id value of incorrect type: {target}", field.label);
            return Err(ApiError::data("MALFORMED_ID", message).on(field.name));
        };
        match self.table(&object).get(target) {
            None => Err(ApiError::data("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").on(field.name)),
            Some(parent) if is_deleted(parent) => {
                Err(ApiError::data("ENTITY_IS_DELETED", "entity is deleted").on(field.name))
            }
            Some(_) => Ok(()),
        }
    }
}

pub(super) fn writable(object: &Object) -> Result<(), ApiError> {
    if object.writable {
        return Ok(());
    }
    let message = format!("entity type {} does not support this operation", object.name);
    Err(ApiError::data("INVALID_TYPE_FOR_OPERATION", message))
}

/// Names all missing fields at once, as the vendor does.
fn required(object: &Object, row: &Row) -> Result<(), ApiError> {
    let missing: Vec<&str> = object
        .fields
        .iter()
        .filter(|f| f.createable && !f.nillable && f.kind != Kind::Boolean)
        .filter(|f| row.get(f.name).is_none_or(Value::is_null))
        .map(|f| f.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    Err(missing.iter().fold(ApiError::data("REQUIRED_FIELD_MISSING", message), |e, name| e.on(name)))
}

/// An opportunity's stage sets its probability unless the caller does.
fn default_probability(object: &Object, row: &mut Row, before: Option<&Row>) {
    if object.name != "Opportunity" {
        return;
    }
    let stage = row.get("StageName").cloned().unwrap_or(Value::Null);
    let moved = before.is_none_or(|b| b.get("StageName") != Some(&stage));
    let unset = row.get("Probability").is_none_or(Value::is_null);
    if (before.is_none() && unset) || (before.is_some() && moved) {
        let probability = STAGES.iter().find(|(name, _)| Some(*name) == stage.as_str()).map(|(_, p)| json!(p));
        row.insert("Probability", probability.unwrap_or(Value::Null));
    }
}
