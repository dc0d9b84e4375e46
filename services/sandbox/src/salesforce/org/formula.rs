//! Values that are worked out when a record is read.

use serde_json::{Map, Value, json};

use super::table::text;
use super::value::rounded;
use super::{Org, Row};
use crate::salesforce::schema::{Field, Formula, Object};

impl Org {
    /// The value of a field as a reader sees it, formulas and compounds included.
    pub(crate) fn value(&self, object: &Object, row: &Row, field: &Field) -> Value {
        match field.formula {
            None => row.get(field.name).cloned().unwrap_or(Value::Null),
            Some(formula) => self.formula(object, row, formula),
        }
    }

    fn formula(&self, object: &Object, row: &Row, formula: Formula) -> Value {
        let stage = text(row, "StageName").unwrap_or_default();
        match formula {
            Formula::Address(prefix) => address(object, row, prefix),
            Formula::PersonName => joined(row, ["FirstName", "LastName"], " "),
            Formula::AccountSummary => joined(row, ["Industry", "BillingCity"], " / "),
            Formula::AccountRating => self.account_rating(row),
            Formula::WeightedAmount => {
                let number = |name: &str| row.get(name).and_then(Value::as_f64);
                match (number("Amount"), number("Probability")) {
                    (Some(amount), Some(probability)) => rounded(amount * probability / 100.0, 2),
                    _ => Value::Null,
                }
            }
            Formula::IsClosed => json!(stage.starts_with("Closed")),
            Formula::IsWon => json!(stage == "Closed Won"),
        }
    }

    fn account_rating(&self, row: &Row) -> Value {
        let account = self.object("Account");
        let parent = account.as_ref().zip(text(row, "AccountId")).and_then(|(o, id)| self.table(o).get(id));
        parent.and_then(|p| p.get("Rating")).cloned().unwrap_or(Value::Null)
    }
}

fn joined(row: &Row, fields: [&str; 2], by: &str) -> Value {
    let parts: Vec<&str> = fields.iter().filter_map(|f| text(row, f)).collect();
    if parts.is_empty() { Value::Null } else { Value::String(parts.join(by)) }
}

/// Null when every component is null, else all members.
fn address(object: &Object, row: &Row, prefix: &str) -> Value {
    let compound = format!("{prefix}Address");
    let mut shown = Map::new();
    for field in object.fields.iter().filter(|f| f.compound == Some(compound.as_str())) {
        let mut name = field.name[prefix.len()..].to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        shown.insert(name, row.get(field.name).cloned().unwrap_or(Value::Null));
    }
    if shown.values().all(Value::is_null) { Value::Null } else { Value::Object(shown) }
}
