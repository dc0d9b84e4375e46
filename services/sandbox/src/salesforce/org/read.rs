//! Records on their way out.

use serde_json::{Map, Value, json};

use super::{Org, Row};
use crate::salesforce::schema::Object;

impl Org {
    /// `{"type": …, "url": …}`, which every record on the wire begins with.
    pub(crate) fn attributes(&self, object: &Object, id: &str, base: &str) -> Value {
        json!({ "type": object.name, "url": format!("{base}/sobjects/{}/{id}", object.name) })
    }

    /// The fields of a whole record, formulas included.
    pub(crate) fn fields(&self, object: &Object, row: &Row) -> Option<Map<String, Value>> {
        match self.show(object, row, None, "") {
            Value::Object(mut map) => {
                map.shift_remove("attributes");
                Some(map)
            }
            _ => None,
        }
    }

    /// A whole record, or the chosen fields of it, in the order asked for.
    pub(crate) fn show(&self, object: &Object, row: &Row, fields: Option<&[&str]>, base: &str) -> Value {
        let id = row.get("Id").and_then(Value::as_str).unwrap_or_default();
        let mut shown = Map::new();
        shown.insert("attributes".to_owned(), self.attributes(object, id, base));
        for field in &object.fields {
            if fields.is_none_or(|wanted| wanted.contains(&field.name)) {
                shown.insert(field.name.to_owned(), self.value(object, row, field));
            }
        }
        Value::Object(shown)
    }
}
