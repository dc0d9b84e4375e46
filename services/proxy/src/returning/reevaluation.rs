//! Evaluating the list again.

use crate::catalog::SyncedTable;

/// How a plain statement's `RETURNING` is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returning {
    /// Its list is evaluated again on the reconciled rows. Should that fail, or give another number of rows, the dry
    /// run's rows answer, with placeholders replaced.
    Reevaluate(Reevaluation),
    /// From the dry run's rows, with placeholders replaced.
    Buffered,
}

/// A list over columns, parameters, constants and stable functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reevaluation {
    /// The list with its parameters renumbered: `$1` stands for the keys, the client's follow.
    pub list: String,
    /// The name by which the list calls the target, if not by its own.
    pub alias: Option<String>,
    /// The client's parameters that stand for `$2`, `$3`, …: their numbers in the client's statement. The statement
    /// that evaluates again is parsed with their types (from the client's ParameterDescription) and bound with their
    /// values and formats.
    pub params: Vec<u16>,
}

impl Reevaluation {
    /// The statement that evaluates the list: `$1` is the keys as `text[]` (parse it with type 1009), in the order in
    /// which the rows come back.
    ///
    /// The list stands in a subquery of its own: there `*` and unqualified names mean the target's columns only.
    pub fn sql(&self, table: &SyncedTable) -> String {
        let name = table.name();
        let target = format!("{}.{}", quoted(&name.source), quoted(&name.table));
        let (named, called) = match &self.alias {
            Some(alias) => (format!("{target} as {}", quoted(alias)), quoted(alias)),
            None => (target, quoted(&name.table)),
        };
        let key_type = table.key_column().map_or("text", |column| column.sql_type.as_str());
        format!(
            "/* proxy.returning */ select upwrite_row.* from unnest($1::text[]) with ordinality \
             as upwrite_key (upwrite_key, upwrite_ordinality) cross join lateral (select {} from {named} \
             where {called}.{} operator(pg_catalog.=) upwrite_key.upwrite_key::{key_type}) as upwrite_row \
             order by upwrite_key.upwrite_ordinality",
            self.list,
            quoted(&table.spec.key),
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_statement_names_what_the_list_names() {
        let again = Reevaluation { list: "c.*, $2".into(), alias: Some("c".into()), params: vec![4] };
        let sql = again.sql(&testing::contact());
        assert!(sql.contains("(select c.*, $2 from \"sf\".\"contact\" as \"c\" where \"c\".\"id\" operator"), "{sql}");
        let again = Reevaluation { list: "contact.id".into(), alias: None, params: vec![] };
        let sql = again.sql(&testing::contact());
        assert!(sql.contains("from \"sf\".\"contact\" where \"contact\".\"id\" operator"), "{sql}");
        assert!(pg_query::parse(&sql, 0).is_ok());
    }
}
