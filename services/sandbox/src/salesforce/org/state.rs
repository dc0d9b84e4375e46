//! The records as one JSON document, for the state file.

use serde_json::{Map, Value, json};

use super::{Org, Row};

impl Org {
    /// Everything that must survive a restart of the sandbox: records and counters, not the journal.
    pub(crate) fn save(&self) -> Value {
        let mut tables = Map::new();
        for object in &self.objects {
            let table = self.table(object);
            let rows: Vec<&Row> = table.rows().map(|(_, row)| row).collect();
            tables.insert(object.name.to_owned(), json!({ "numbers": table.numbers(), "rows": rows }));
        }
        json!({ "instance": self.instance, "tables": tables })
    }

    /// Takes over a saved document; rows of unknown objects and unknown fields are left out.
    pub(crate) fn load(&mut self, saved: &Value) {
        if let Some(instance) = saved["instance"].as_str() {
            self.instance = instance.to_owned();
        }
        for object in self.objects.clone() {
            let table = self.table_mut(&object);
            let part = &saved["tables"][object.name];
            table.set_numbers(part["numbers"].as_u64().unwrap_or_default());
            for saved_row in part["rows"].as_array().into_iter().flatten() {
                let Some(members) = saved_row.as_object() else {
                    continue;
                };
                let row: Row = members
                    .iter()
                    .filter_map(|(name, value)| object.field(name).map(|f| (f.name, value.clone())))
                    .collect();
                let id = row.get("Id").and_then(Value::as_str).map(str::to_owned);
                if let Some(id) = id {
                    table.put(&id, row);
                }
            }
        }
    }
}
