//! Duplicate rules: a live record with the same value in a field blocks, or alerts.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::table::text;
use super::{Org, Row, Txn};
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::{Field, Object};

/// A duplicate rule over one indexed field (`Email`, an external id, `AccountId`); case does not matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicateRule {
    /// Unique name; setting a rule of the same name replaces it.
    pub name: String,
    /// API name of the object.
    pub object: String,
    /// API name of the compared field.
    pub field: String,
    /// Inactive rules do nothing.
    pub active: bool,
    /// An alerting rule: the caller may save all the same (`Sforce-Duplicate-Rule-Header: allowSave=true`).
    #[serde(default)]
    pub allow_save: bool,
}

pub(super) fn shipped(active: bool) -> Vec<DuplicateRule> {
    vec![DuplicateRule {
        name: "Contact_Email".to_owned(),
        object: "Contact".to_owned(),
        field: "Email".to_owned(),
        active,
        allow_save: true,
    }]
}

impl Org {
    pub(super) fn check_duplicates(
        &self,
        txn: &Txn,
        object: &Object,
        id: &str,
        row: &Row,
        changed: impl Fn(&Field) -> bool,
    ) -> Result<(), ApiError> {
        for rule in self.duplicate_rules.iter().filter(|r| r.active && r.object.eq_ignore_ascii_case(object.name)) {
            let Some(field) = object.field(&rule.field).filter(|f| changed(f)) else {
                continue;
            };
            let Some(value) = text(row, field.name) else {
                continue;
            };
            let Some(other) = self.table(object).other_with(field.name, value, id) else {
                continue;
            };
            if !(rule.allow_save && txn.actor.allow_duplicates) {
                let mut error = ApiError::data("DUPLICATES_DETECTED", "Use one of these records?");
                error.duplicate_result = Some(Box::new(result(rule, object, &other)));
                return Err(error);
            }
        }
        Ok(())
    }
}

fn result(rule: &DuplicateRule, object: &Object, other: &str) -> Value {
    json!({
        "allowSave": rule.allow_save,
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": object.name,
        "errorMessage": "Use one of these records?",
        "matchResults": [{
            "entityType": object.name,
            "errors": [],
            "matchEngine": "ExactMatchEngine",
            "matchRecords": [{
                "additionalInformation": [],
                "fieldDiffs": [],
                "matchConfidence": 100.0,
                "record": { "attributes": { "type": object.name }, "Id": other },
            }],
            "rule": rule.name,
            "size": 1,
            "success": true,
        }],
    })
}
