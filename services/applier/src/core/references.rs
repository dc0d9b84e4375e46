//! References to records that the same mutation created before.

use std::collections::HashMap;

use upwrite_events::{Op, Row, RowChange, RowState, TableName, TableSpec};

/// The real keys of the records that a mutation has created so far.
#[derive(Debug)]
pub(crate) struct CreatedKeys<'a> {
    /// By placeholder. Tables with integer keys may have drawn the same one.
    keys: HashMap<&'a str, Vec<(&'a TableSpec, &'a str)>>,
}

impl<'a> CreatedKeys<'a> {
    /// Of a request's rows and their states, which run side by side.
    pub(crate) fn new(
        rows: &'a [RowChange],
        states: &'a [RowState],
        spec: impl Fn(&TableName) -> Option<&'a TableSpec>,
    ) -> Self {
        let mut keys: HashMap<&str, Vec<(&TableSpec, &str)>> = HashMap::new();
        for (change, state) in rows.iter().zip(states) {
            let (Op::Insert, RowState::Applied(key), Some(spec)) = (change.op, state, spec(&change.table)) else {
                continue;
            };
            if spec.is_placeholder(&change.key) {
                keys.entry(&change.key).or_default().push((spec, key));
            }
        }
        Self { keys }
    }

    /// A row of that table with the real keys in the place of placeholders.
    pub(crate) fn resolve(&self, spec: Option<&TableSpec>, mut row: Row) -> Row {
        let Some(spec) = spec.filter(|_| !self.keys.is_empty()) else { return row };
        for (name, value) in &mut row {
            let (Some(column), Some(text)) = (spec.column(name), value.as_deref()) else { continue };
            let created = self.keys.get(text).into_iter().flatten();
            let real = created.filter(|(table, _)| column.names_placeholder(text, table)).map(|(_, key)| *key).next();
            if let Some(real) = real {
                *value = Some(real.to_owned());
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::ColumnSpec;

    use super::*;

    const PENDING: &str = "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3c";

    fn table(name: &str, key_type: &str) -> TableSpec {
        let columns = vec![
            ColumnSpec::new("id", key_type).read_only(),
            ColumnSpec::new("account_id", key_type).references("account"),
            ColumnSpec::new("user_id", key_type).references("user"),
            ColumnSpec::new("amount", key_type),
        ];
        TableSpec::new(TableName::new("crm", name), "id", columns)
    }

    fn insert(table: &TableSpec, key: &str) -> RowChange {
        let (table, key) = (table.name.clone(), key.to_owned());
        RowChange { table, op: Op::Insert, key, version: None, changed: Row::new(), old: Row::new() }
    }

    fn row(value: &str) -> Row {
        ["account_id", "amount", "user_id"].map(|name| (name.to_owned(), Some(value.to_owned()))).into()
    }

    /// What `row` becomes after one record was created in table "account", with the real key 4711.
    fn resolved(key_type: &str, placeholder: &str, state: RowState) -> Vec<String> {
        let (account, contact) = (table("account", key_type), table("contact", key_type));
        let (rows, states) = ([insert(&account, placeholder)], [state]);
        let created = CreatedKeys::new(&rows, &states, |name| (*name == account.name).then_some(&account));
        created.resolve(Some(&contact), row(placeholder)).into_values().flatten().collect()
    }

    fn applied() -> RowState {
        RowState::Applied("4711".to_owned())
    }

    #[test]
    fn text_placeholders_are_resolved_in_every_column() {
        assert_eq!(resolved("text", PENDING, applied()), ["4711", "4711", "4711"]);
    }

    #[test]
    fn integer_placeholders_are_resolved_where_they_refer_to_the_table() {
        assert_eq!(resolved("bigint", "-32768", applied()), ["4711", "-32768", "-32768"]);
    }

    #[test]
    fn nothing_is_resolved_before_it_was_created() {
        for state in [RowState::Pending, RowState::Rejected, RowState::InDoubt] {
            assert_eq!(resolved("bigint", "-7", state.clone()), ["-7", "-7", "-7"]);
            assert_eq!(resolved("text", PENDING, state), [PENDING, PENDING, PENDING]);
        }
    }

    #[test]
    fn tables_that_drew_the_same_number_keep_their_own_keys() {
        let (account, user) = (table("account", "integer"), table("user", "integer"));
        let rows = [insert(&account, "-7"), insert(&user, "-7")];
        let states = [RowState::Applied("1".to_owned()), RowState::Applied("2".to_owned())];
        let created = CreatedKeys::new(&rows, &states, |name| [&account, &user].into_iter().find(|t| t.name == *name));
        let resolved = created.resolve(Some(&table("contact", "integer")), row("-7"));
        assert_eq!(resolved.into_values().flatten().collect::<Vec<_>>(), ["1", "-7", "2"]);
    }
}
