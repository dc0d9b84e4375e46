//! What a parse tree names: the relations that it changes and the functions that it calls.
//!
//! The tree is walked in its serialised form, in which every node carries its name: so nothing is missed, also of
//! kinds that a later version of the parser adds. Rows of plain values, which can be many, are passed over unserialised.

use pg_query::protobuf::{InsertStmt, RangeVar, SelectStmt};
use pg_query::{Node, NodeEnum};
use serde::Serialize;
use serde_json::Value;

/// A name with its schema, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SqlName {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

/// The names in a statement or a part of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Relations that INSERT, UPDATE, DELETE and MERGE name, at any depth.
    pub(super) targets: Vec<SqlName>,
    /// All functions called, at any depth.
    pub(super) functions: Vec<SqlName>,
    /// Those among them that see what a nested INSERT, UPDATE, DELETE or MERGE returned.
    pub(super) outer_functions: Vec<SqlName>,
}

/// Statements that change the relation that they name.
const CHANGING: &[&str] = &["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

impl Mentions {
    /// Everything that a statement names.
    pub(super) fn in_statement(node: &NodeEnum) -> Self {
        let mut found = Self::default();
        match node {
            NodeEnum::InsertStmt(insert) if insert.relation.is_some() && values_of(insert).is_some() => {
                found.insert(insert)
            }
            _ => found.serialised(node),
        }
        found
    }

    /// The functions in one expression or list.
    pub(super) fn in_nodes(nodes: &[Node]) -> Self {
        let mut found = Self::default();
        for node in nodes {
            found.serialised(node);
        }
        found
    }

    /// `INSERT … VALUES`, of which there can be many rows.
    fn insert(&mut self, insert: &InsertStmt) {
        if let Some(relation) = &insert.relation {
            self.targets.push(SqlName::of(relation));
        }
        for row in values_of(insert).into_iter().flat_map(|values| &values.values_lists) {
            match &row.node {
                Some(NodeEnum::List(list)) => {
                    list.items.iter().filter(|item| !is_plain(item)).for_each(|item| self.inner(item));
                }
                _ => self.inner(row),
            }
        }
        // What is left is small.
        self.inner(&insert.on_conflict_clause);
        self.inner(&insert.with_clause);
        if let Some(NodeEnum::SelectStmt(select)) = insert.select_stmt.as_deref().and_then(|node| node.node.as_ref()) {
            self.inner(&select.with_clause);
        }
        self.serialised(&insert.returning_clause);
    }

    /// Where functions do not see what the statement returned.
    fn inner(&mut self, part: &impl Serialize) {
        self.walk_part(part, true);
    }

    fn serialised(&mut self, part: &impl Serialize) {
        self.walk_part(part, false);
    }

    fn walk_part(&mut self, part: &impl Serialize, inside: bool) {
        match serde_json::to_value(part) {
            Ok(value) => self.walk(&value, inside),
            // A tree of the parser can always be serialised; if not, it may do anything.
            Err(_) => self.functions.push(SqlName { schema: None, name: String::new() }),
        }
    }

    fn walk(&mut self, value: &Value, inside: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, inside)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    let mut inside = inside;
                    match name.as_str() {
                        "FuncCall" | "funccall" => self.function(field, inside),
                        "returning_clause" => inside = false,
                        changing if CHANGING.contains(&changing) => {
                            self.target(field);
                            inside = true;
                        }
                        _ => {}
                    }
                    self.walk(field, inside);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn function(&mut self, call: &Value, inside: bool) {
        if call.is_null() {
            return;
        }
        let parts: Vec<&str> = call["funcname"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part["node"]["String"]["sval"].as_str())
            .collect();
        let named = match parts.as_slice() {
            [name] => SqlName { schema: None, name: (*name).to_owned() },
            [.., schema, name] => SqlName { schema: Some((*schema).to_owned()), name: (*name).to_owned() },
            [] => SqlName { schema: None, name: String::new() },
        };
        if !inside {
            self.outer_functions.push(named.clone());
        }
        self.functions.push(named);
    }

    fn target(&mut self, statement: &Value) {
        let relation = &statement["relation"];
        let schema = relation["schemaname"].as_str().filter(|schema| !schema.is_empty()).map(str::to_owned);
        let name = relation["relname"].as_str().unwrap_or_default().to_owned();
        self.targets.push(SqlName { schema, name });
    }
}

impl SqlName {
    pub(super) fn of(relation: &RangeVar) -> Self {
        let schema = Some(relation.schemaname.clone()).filter(|schema| !schema.is_empty());
        Self { schema, name: relation.relname.clone() }
    }
}

fn values_of(insert: &InsertStmt) -> Option<&SelectStmt> {
    match insert.select_stmt.as_deref()?.node.as_ref()? {
        NodeEnum::SelectStmt(select) if !select.values_lists.is_empty() => Some(select),
        _ => None,
    }
}

/// A constant, a parameter or DEFAULT: calls nothing.
fn is_plain(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_) | NodeEnum::SetToDefault(_)) | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let parsed = pg_query::parse(sql, 0).unwrap();
        let found = Mentions::in_statement(parsed.protobuf.stmts[0].stmt.as_ref().unwrap().node.as_ref().unwrap());
        let text = |named: Vec<SqlName>| {
            let mut names: Vec<String> = named
                .into_iter()
                .map(|named| named.schema.map_or(named.name.clone(), |schema| format!("{schema}.{}", named.name)))
                .collect();
            names.sort();
            names
        };
        (text(found.targets), text(found.functions), text(found.outer_functions))
    }

    #[test]
    fn functions_are_found_wherever_they_hide() {
        for sql in [
            "select f(1)",
            "select 1 from t where a in (select b from u where c > f(b))",
            "select case when f(1) then 1 end",
            "select 1 order by f(1) limit 1",
            "select 1 limit f(1)",
            "select sum(1) over (partition by f(1) order by 1)",
            "select 1 from t join u on f(t.a)",
            "select 1 from f(1)",
            "select 1 from rows from (f(1), g(2)) as x",
            "select array[f(1)]",
            "select row(f(1))",
            "select (f(1)).a",
            "select a[f(1)] from t",
            "select 1 from t tablesample bernoulli (f(1))",
            "select 1 group by grouping sets ((f(1)))",
            "select 1 having f(1)",
            "values (f(1))",
            "select 1 union select f(1)",
            "with x as (select f(1)) select 1",
            "select count(*) filter (where f(1))",
            "select string_agg(a, b order by f(1))",
            "select xmlelement(name a, f(1))",
            "select json_object('a': f(1))",
            "select coalesce(null, f(1))",
            "select f(1)::text collate \"C\"",
            "select 1 is distinct from f(1)",
            "select * from json_table(f(1), '$' columns (a int path '$'))",
            "insert into t values (1, f(2))",
            "insert into t values (1) on conflict (a) do update set b = f(1)",
            "insert into t values (1) returning f(1)",
            "with x as (select f(1)) insert into t values (1)",
            "update t set (a, b) = (select f(1), 2)",
            "delete from t using u where f(1)",
            "merge into t using u on f(1) when matched then delete",
        ] {
            assert!(found(sql).1.iter().any(|name| name == "f"), "{sql}");
        }
    }

    #[test]
    fn targets_are_found_in_ctes() {
        let sql = "with a as (insert into s.t values (1) returning *), b as (update u set x = 1 returning *)
                   select * from a, b";
        assert_eq!(found(sql).0, ["s.t", "u"]);
        assert_eq!(found("with a as (delete from u) insert into t values (1)").0, ["t", "u"]);
        assert!(found("select 1 from t for update").0.is_empty());
    }

    #[test]
    fn functions_inside_a_change_do_not_see_what_it_returned() {
        let sql = "with a as (insert into t values (lower('A')) returning md5(id)) select json_agg(a) from a";
        assert_eq!(found(sql).2, ["json_agg", "md5"]);
    }
}
