//! `RETURNING` lists: which can be evaluated again on the reconciled rows, and their text for it.

use pg_query::protobuf::{ReturningClause, Token};
use pg_query::{Node, NodeEnum};
use serde_json::Value;

use super::mentions::{Mentions, SqlName};
use crate::catalog::{Catalog, Effect};
use crate::returning::{Reevaluation, Returning};

/// Columns that belong to the version of the row that the dry run made.
const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// How to answer the `RETURNING` of an INSERT or UPDATE of one relation. `alias`: how the statement calls it, if by another
/// name.
pub(super) fn returning(clause: &ReturningClause, alias: Option<&str>, catalog: &Catalog) -> Returning {
    if !clause.options.is_empty() {
        return Returning::Buffered;
    }
    let stable = |named: &SqlName| catalog.effect(named.schema.as_deref(), &named.name) == Effect::None;
    if !Mentions::in_nodes(&clause.exprs).functions.iter().all(stable) || !clause.exprs.iter().all(is_of_the_row) {
        return Returning::Buffered;
    }
    match text(&clause.exprs).and_then(|list| renumber(&list)) {
        Some((list, params)) => Returning::Reevaluate(Reevaluation { list, alias: alias.map(str::to_owned), params }),
        None => Returning::Buffered,
    }
}

/// Whether an expression speaks of the row's columns only: no subquery, no system column, no `old`/`new`.
fn is_of_the_row(node: &Node) -> bool {
    serde_json::to_value(node).is_ok_and(|value| value_is_of_the_row(&value))
}

fn value_is_of_the_row(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(value_is_of_the_row),
        Value::Object(fields) => fields.iter().all(|(name, field)| match name.as_str() {
            "SubLink" => false,
            "ColumnRef" => column_is_of_the_row(field),
            _ => value_is_of_the_row(field),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn column_is_of_the_row(column: &Value) -> bool {
    let names: Vec<&str> = column["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|field| field["node"]["String"]["sval"].as_str())
        .collect();
    // Since PostgreSQL 18, alone or before a column.
    let versioned = names.first().is_some_and(|first| ["old", "new"].contains(first));
    !versioned && !names.last().is_some_and(|last| SYSTEM_COLUMNS.contains(last))
}

/// The list as SQL: as the list of a parsed SELECT, for a tree made by hand lacks what the deparser takes for granted.
fn text(exprs: &[Node]) -> Option<String> {
    let mut tree = pg_query::parse("SELECT 1", 0).ok()?.protobuf;
    match tree.stmts.first_mut()?.stmt.as_mut()?.node.as_mut()? {
        NodeEnum::SelectStmt(select) => select.target_list = exprs.to_vec(),
        _ => return None,
    }
    let sql = tree.deparse(pg_query::DeparseOptions::default()).ok()?;
    sql.strip_prefix("SELECT ").map(str::to_owned)
}

/// `$1` is for the keys: the list's own parameters follow from `$2` on, in order of first use.
fn renumber(list: &str) -> Option<(String, Vec<u16>)> {
    let mut renumbered = String::with_capacity(list.len());
    let mut params: Vec<u16> = Vec::new();
    let mut copied = 0;
    for token in pg_query::scan_tokens(list).ok()? {
        if token.token != Token::Param as i32 {
            continue;
        }
        let (start, end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
        let number: u16 = list.get(start..end)?.strip_prefix('$')?.parse().ok()?;
        let place = params.iter().position(|known| *known == number).unwrap_or_else(|| {
            params.push(number);
            params.len() - 1
        });
        renumbered.push_str(list.get(copied..start)?);
        renumbered.push_str(&format!("${}", place + 2));
        copied = end;
    }
    renumbered.push_str(list.get(copied..)?);
    Some((renumbered, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn of(list: &str) -> Returning {
        let parsed = pg_query::parse(&format!("insert into sf.contact values (1) returning {list}"), 0).unwrap();
        match parsed.protobuf.stmts[0].stmt.as_ref().unwrap().node.as_ref().unwrap() {
            NodeEnum::InsertStmt(insert) => {
                returning(insert.returning_clause.as_ref().unwrap(), None, &testing::catalog())
            }
            _ => unreachable!(),
        }
    }

    fn again(list: &str, params: &[u16]) -> Returning {
        Returning::Reevaluate(Reevaluation { list: list.to_owned(), alias: None, params: params.to_vec() })
    }

    #[test]
    fn lists_over_columns_parameters_constants_and_stable_functions_are_evaluated_again() {
        assert_eq!(of("id"), again("id", &[]));
        assert_eq!(of("*"), again("*", &[]));
        assert_eq!(of("\"Id\", contact.id as x, now(), 'a$1'"), again("\"Id\", contact.id AS x, now(), 'a$1'", &[]));
        assert_eq!(of("$3 || id, $1, $3"), again("$2 || id, $3, $2", &[3, 1]));
    }

    #[test]
    fn everything_else_is_answered_from_the_dry_run() {
        for list in
            ["xmax = 0", "contact.ctid", "gen_random_uuid()", "writes(id)", "(select 1)", "new.id", "old.*", "new"]
        {
            assert_eq!(of(list), Returning::Buffered, "{list}");
        }
    }
}
