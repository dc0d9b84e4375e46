//! A record on its way in: names resolved, read-only fields refused, values converted.

use serde_json::{Map, Value};

use super::{Org, Row, value};
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::{Field, Object};

/// What the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Update,
}

impl Org {
    /// The given fields in stored form. `attributes` is skipped; an `Id` is an error (it belongs in the path, and
    /// collections take it out first).
    pub(super) fn accept(&self, object: &Object, input: &Map<String, Value>, why: Purpose) -> Result<Row, ApiError> {
        let mut row = Row::new();
        for (name, given) in input.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("attributes")) {
            if name.eq_ignore_ascii_case("Id") {
                let message = "The Id field should not be specified in the sobject data.";
                return Err(ApiError::data("INVALID_FIELD", message).on("Id"));
            }
            if let (Some(reference), Value::Object(parent)) = (object.relationship(name), given) {
                row.insert(reference.name, self.parent_by_key(reference, parent)?);
                continue;
            }
            let field = object.field(name).ok_or_else(|| no_such_column(object, name))?;
            let allowed = match why {
                Purpose::Create => field.createable,
                Purpose::Update => field.updateable,
            };
            if !allowed {
                return Err(read_only(field));
            }
            row.insert(field.name, value::accept(field, given, self.trim_strings)?);
        }
        Ok(row)
    }

    /// `"Account": {"UpwriteKey__c": "x"}`: a reference given by the parent's external id.
    fn parent_by_key(&self, reference: &Field, parent: &Map<String, Value>) -> Result<Value, ApiError> {
        let object = self.object_or_type_error(reference.reference_to)?;
        let mut keys = parent.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("attributes"));
        let (Some((name, key)), None) = (keys.next(), keys.next()) else {
            return Err(ApiError::json("a related record is named by one external id field"));
        };
        let field = object.field(name).ok_or_else(|| no_such_column(&object, name))?;
        if !field.external_id {
            let message = format!("{} is not an external id of {}", field.name, object.name);
            return Err(ApiError::data("INVALID_FIELD", message).on(field.name));
        }
        let text = key.as_str().unwrap_or_default();
        let found = self.table(&object).ids_with(field.name, text).unwrap_or_default();
        let missing = || {
            let message =
                format!("Foreign key external ID: {text} not found for field {} in entity {}", field.name, object.name);
            ApiError::data("INVALID_FIELD", message)
        };
        found.into_iter().next().map(Value::String).ok_or_else(missing)
    }
}

pub(crate) fn no_such_column(object: &Object, name: &str) -> ApiError {
    ApiError::data("INVALID_FIELD", format!("No such column '{name}' on sobject of type {}", object.name))
}

fn read_only(field: &Field) -> ApiError {
    let message = format!(
        "Unable to create/update fields: {}. Please check the security settings of this field and verify that it \
         is read/write for your profile or permission set.",
        field.name
    );
    ApiError::data("INVALID_FIELD_FOR_INSERT_UPDATE", message).on(field.name)
}
