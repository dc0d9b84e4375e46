//! Which records a query has to look at: a few by id or indexed value, or all.

use super::ast::{Expr, Literal, Op};
use crate::salesforce::id;
use crate::salesforce::org::Table;
use crate::salesforce::schema::Object;

/// Candidate ids, where a condition that must hold names them; the condition is still evaluated on each.
/// Soft-deleted records are not in the indexes, so with `deleted` only ids count.
pub(super) fn candidates(table: &Table, object: &Object, filter: &Expr, deleted: bool) -> Option<Vec<String>> {
    match filter {
        Expr::And(list) => list.iter().find_map(|e| candidates(table, object, e, deleted)),
        Expr::Compare(path, Op::Eq, literal) => named(table, object, path, std::slice::from_ref(literal), deleted),
        Expr::Among(path, true, list) => named(table, object, path, list, deleted),
        _ => None,
    }
}

fn named(table: &Table, object: &Object, path: &[String], list: &[Literal], deleted: bool) -> Option<Vec<String>> {
    let [name] = path else { return None };
    let field = object.field(name)?;
    let mut ids = Vec::new();
    for literal in list {
        let Literal::Text(text) = literal else {
            return None;
        };
        if field.name == "Id" {
            ids.extend(id::canonical(text));
        } else if deleted {
            return None;
        } else {
            let key = if field.reference_to.is_empty() { Some(text.clone()) } else { id::canonical(text) };
            ids.extend(table.ids_with(field.name, &key.unwrap_or_default())?);
        }
    }
    ids.sort();
    ids.dedup();
    Some(ids)
}
