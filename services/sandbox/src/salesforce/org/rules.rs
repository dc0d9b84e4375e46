//! Validation rules: predicates over one field that make a write fail.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Org, Row};
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::Object;

/// A validation rule. A record for which the predicate holds is refused with
/// `FIELD_CUSTOM_VALIDATION_EXCEPTION`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationRule {
    /// Unique name; setting a rule of the same name replaces it.
    pub name: String,
    /// API name of the object.
    pub object: String,
    /// API name of the field that the predicate reads and the error names.
    pub field: String,
    /// When the write is refused.
    pub predicate: Predicate,
    /// Text of the error.
    pub message: String,
}

/// What a rule tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// A number below this one.
    LessThan(f64),
    /// A number above this one.
    GreaterThan(f64),
    /// Exactly this JSON value.
    Equals(Value),
    /// No value.
    IsNull,
    /// Text that the regular expression finds a match in.
    Matches(String),
    /// Text of more characters than this.
    LongerThan(usize),
}

/// The rules that every organisation starts with.
pub(super) fn shipped() -> Vec<ValidationRule> {
    let rule = |name: &str, object: &str, field: &str, predicate, message: &str| ValidationRule {
        name: name.to_owned(),
        object: object.to_owned(),
        field: field.to_owned(),
        predicate,
        message: message.to_owned(),
    };
    vec![
        rule("Amount_not_negative", "Opportunity", "Amount", Predicate::LessThan(0.0), "Amount must not be negative."),
        rule(
            "Discount_at_most_half",
            "Account",
            "Discount__c",
            Predicate::GreaterThan(50.0),
            "A discount above 50 % needs approval.",
        ),
    ]
}

impl Org {
    pub(super) fn check_rules(&self, object: &Object, row: &Row) -> Result<(), ApiError> {
        let mine = self.validation_rules.iter().filter(|r| r.object.eq_ignore_ascii_case(object.name));
        for rule in mine {
            let Some(field) = object.field(&rule.field) else {
                continue;
            };
            if holds(&rule.predicate, &self.value(object, row, field)) {
                let error = ApiError::data("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message.clone());
                return Err(error.on(field.name));
            }
        }
        Ok(())
    }
}

fn holds(predicate: &Predicate, value: &Value) -> bool {
    match predicate {
        Predicate::LessThan(limit) => value.as_f64().is_some_and(|n| n < *limit),
        Predicate::GreaterThan(limit) => value.as_f64().is_some_and(|n| n > *limit),
        Predicate::Equals(wanted) => value == wanted,
        Predicate::IsNull => value.is_null(),
        Predicate::Matches(pattern) => {
            value.as_str().is_some_and(|text| Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)))
        }
        Predicate::LongerThan(limit) => value.as_str().is_some_and(|text| text.chars().count() > *limit),
    }
}
