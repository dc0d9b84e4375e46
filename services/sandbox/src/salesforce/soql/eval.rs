//! Whether a record meets a condition, and which of two values comes first.

use std::cmp::Ordering;

use serde_json::Value;

use super::ast::{Expr, Literal, Op, Path};
use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Org, Row};
use crate::salesforce::schema::{Field, Kind, Object};

/// A record seen as an instance of its object.
#[derive(Clone, Copy)]
pub(super) struct Seen<'o> {
    pub(super) org: &'o Org,
    pub(super) object: &'o Object,
    pub(super) row: &'o Row,
}

/// The value at a path and whether its letters' case counts; null where a parent on the way is null.
pub(super) fn at_path(seen: Seen<'_>, path: &[String]) -> (Value, bool) {
    match path {
        [name] => match seen.object.field(name) {
            Some(field) => (seen.org.value(seen.object, seen.row, field), exact(field)),
            None => (Value::Null, false),
        },
        [relationship, rest @ ..] => {
            let reference = seen.object.relationship(relationship);
            let target = reference.and_then(|f| seen.row.get(f.name)).and_then(Value::as_str);
            let object = reference.and_then(|f| seen.org.object(f.reference_to));
            let found = object.as_ref().zip(target).and_then(|(o, id)| seen.org.table(o).get(id).map(|row| (o, row)));
            match found {
                Some((object, row)) => at_path(Seen { org: seen.org, object, row }, rest),
                None => (Value::Null, false),
            }
        }
        [] => (Value::Null, false),
    }
}

fn exact(field: &Field) -> bool {
    field.external_id || matches!(field.kind, Kind::Id | Kind::Reference)
}

/// Refuses paths that lead nowhere, before any record is looked at.
pub(super) fn check_path(org: &Org, object: &Object, path: &Path) -> Result<(), ApiError> {
    let missing = |object: &Object, name: &str| {
        let message = format!(
            "\nSELECT {}\n^\nERROR at Row:1:Column:1\nNo such column '{name}' on entity '{}'. If you are attempting to \
             use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL \
             or the describe call for the appropriate names.",
            path.join("."),
            object.name
        );
        ApiError::data("INVALID_FIELD", message)
    };
    let (last, parents) = path.split_last().ok_or_else(|| missing(object, ""))?;
    let Some((first, rest)) = parents.split_first() else {
        return object.field(last).map(drop).ok_or_else(|| missing(object, last));
    };
    let reference = object.relationship(first).ok_or_else(|| {
        let message = format!("Didn't understand relationship '{first}' in field path.");
        ApiError::data("INVALID_FIELD", message)
    })?;
    let parent = org.object_or_type_error(reference.reference_to)?;
    let mut onward: Path = rest.to_vec();
    onward.push(last.clone());
    check_path(org, &parent, &onward)
}

/// Every path of a condition.
pub(super) fn paths(expr: &Expr) -> Vec<&Path> {
    match expr {
        Expr::And(list) | Expr::Or(list) => list.iter().flat_map(paths).collect(),
        Expr::Not(inner) => paths(inner),
        Expr::Compare(path, ..) | Expr::Among(path, ..) | Expr::Like(path, _) | Expr::Includes(path, ..) => {
            vec![path]
        }
    }
}

pub(super) fn holds(expr: &Expr, seen: Seen<'_>) -> bool {
    match expr {
        Expr::And(list) => list.iter().all(|e| holds(e, seen)),
        Expr::Or(list) => list.iter().any(|e| holds(e, seen)),
        Expr::Not(inner) => !holds(inner, seen),
        Expr::Compare(path, op, literal) => {
            let (value, exact) = at_path(seen, path);
            compare(&value, *op, literal, exact)
        }
        Expr::Among(path, wanted, list) => {
            let (value, exact) = at_path(seen, path);
            list.iter().any(|literal| compare(&value, Op::Eq, literal, exact)) == *wanted
        }
        Expr::Like(path, pattern) => {
            let (value, _) = at_path(seen, path);
            value.as_str().is_some_and(|text| like(&text.to_lowercase(), &pattern.to_lowercase()))
        }
        Expr::Includes(path, wanted, entries) => {
            let (value, _) = at_path(seen, path);
            let chosen: Vec<&str> = value.as_str().map(|v| v.split(';').collect()).unwrap_or_default();
            entries.iter().any(|entry| entry.split(';').all(|one| chosen.contains(&one))) == *wanted
        }
    }
}

/// Comparison with null is true only for `= null` of a null and `!= x` of anything else, as the vendor has it.
fn compare(value: &Value, op: Op, literal: &Literal, exact: bool) -> bool {
    let equal = match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::Null, Literal::Bool(flag)) => false.partial_cmp(flag),
        (Value::Null, _) | (_, Literal::Null) => None,
        (Value::Bool(a), Literal::Bool(b)) => a.partial_cmp(b),
        (Value::Number(a), Literal::Number(b)) => a.as_f64().and_then(|a| a.partial_cmp(b)),
        (Value::String(a), Literal::Text(b)) if exact => Some(compare_ids(a, b)),
        (Value::String(a), Literal::Text(b)) => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        (Value::String(a), Literal::Date(day)) => Some(a.get(..10).unwrap_or(a).cmp(day)),
        (Value::String(a), Literal::DateTime(at)) => Some(a.cmp(at)),
        _ => None,
    };
    match op {
        Op::Eq => equal == Some(Ordering::Equal),
        Op::Ne => equal != Some(Ordering::Equal),
        Op::Lt => equal == Some(Ordering::Less),
        Op::Le => matches!(equal, Some(Ordering::Less | Ordering::Equal)),
        Op::Gt => equal == Some(Ordering::Greater),
        Op::Ge => matches!(equal, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// The 15-character form of an id means the same record.
fn compare_ids(stored: &str, given: &str) -> Ordering {
    match crate::salesforce::id::canonical(given) {
        Some(id) if stored.len() == 18 && given.len() == 15 => stored.cmp(&id),
        _ => stored.cmp(given),
    }
}

/// `%` any run, `_` any one, backslash takes the next literally. Both sides already folded.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut wanted = Vec::new(); // None is a run, Some(None) any one, Some(Some(c)) that one
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        wanted.push(match c {
            '%' => None,
            '_' => Some(None),
            '\\' => Some(chars.next()),
            plain => Some(Some(plain)),
        });
    }
    let (mut t, mut p, mut back) = (0, 0, None);
    while t < text.len() {
        match wanted.get(p) {
            Some(Some(one)) if one.is_none_or(|c| c == text[t]) => (t, p) = (t + 1, p + 1),
            Some(None) => {
                back = Some((t, p));
                p += 1;
            }
            _ => match back {
                Some((from, run)) => {
                    back = Some((from + 1, run));
                    (t, p) = (from + 1, run + 1);
                }
                None => return false,
            },
        }
    }
    wanted[p..].iter().all(Option::is_none)
}

/// Order of two values: text without regard to case, nulls where `ORDER BY` wants them.
pub(super) fn order(a: &(Value, bool), b: &(Value, bool), descending: bool, nulls_last: bool) -> Ordering {
    let by_value = match (&a.0, &b.0) {
        (Value::Null, Value::Null) => return Ordering::Equal,
        (Value::Null, _) => {
            return if nulls_last { Ordering::Greater } else { Ordering::Less };
        }
        (_, Value::Null) => {
            return if nulls_last { Ordering::Less } else { Ordering::Greater };
        }
        (Value::Number(x), Value::Number(y)) => x.as_f64().partial_cmp(&y.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(x), Value::String(y)) if a.1 => x.cmp(y),
        (Value::String(x), Value::String(y)) => x.to_lowercase().cmp(&y.to_lowercase()),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        _ => Ordering::Equal,
    };
    if descending { by_value.reverse() } else { by_value }
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn like_matches_as_sql_does() {
        for (text, pattern, wanted) in [
            ("müller", "m%", true),
            ("müller", "%ll%", true),
            ("müller", "m_ller", true),
            ("müller", "m_er", false),
            ("50%", "50\\%", true),
            ("500", "50\\%", false),
            ("", "%", true),
            ("abcabc", "%abc", true),
        ] {
            assert_eq!(like(text, pattern), wanted, "{text} like {pattern}");
        }
    }
}
