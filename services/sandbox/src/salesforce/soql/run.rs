//! Running a query, and showing what it found.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::ast::{Group, Path, Query, Select};
use super::eval::{Seen, at_path, check_path, holds, order, paths};
use super::plan::candidates;
use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Org, Row};
use crate::salesforce::schema::{Kind, Object};

/// Result of a query: ids in order; they are shown page by page.
#[derive(Clone, Debug)]
pub(crate) struct QueryResult {
    pub(crate) object: Arc<Object>,
    pub(crate) ids: Vec<String>,
    /// `None` for `COUNT()`, where the number of ids is the whole answer.
    pub(crate) select: Option<Vec<Path>>,
}

/// The vendor's largest OFFSET.
const MOST_OFFSET: usize = 2000;

/// Finds the records. `deleted` also looks into the recycle bin (`queryAll`).
pub(crate) fn run(org: &Org, query: &Query, deleted: bool) -> Result<QueryResult, ApiError> {
    let object = org.object_or_type_error(&query.from)?;
    let select = selected(org, &object, query)?;
    let in_filter = query.filter.iter().flat_map(paths);
    for path in in_filter.chain(query.order.iter().map(|o| &o.path)) {
        check_path(org, &object, path)?;
    }
    if query.offset > MOST_OFFSET {
        let message = format!("Maximum SOQL offset allowed is {MOST_OFFSET}");
        return Err(ApiError::data("NUMBER_OUTSIDE_VALID_RANGE", message));
    }
    let table = org.table(&object);
    let named = query.filter.as_ref().and_then(|f| candidates(table, &object, f, deleted));
    let wanted = |row: &Row| {
        (deleted || row.get("IsDeleted") != Some(&Value::Bool(true)))
            && query.filter.as_ref().is_none_or(|f| holds(f, Seen { org, object: &object, row }))
    };
    let mut rows: Vec<(&String, &Row)> = match &named {
        Some(ids) => ids.iter().filter_map(|id| table.get(id).map(|row| (id, row))).collect(),
        None => table.rows().collect(),
    };
    rows.retain(|(_, row)| wanted(row));
    let rows = sorted(org, &object, query, rows);
    let limit = query.limit.unwrap_or(usize::MAX);
    let ids = rows.into_iter().skip(query.offset).take(limit).map(|(id, _)| id.clone()).collect();
    Ok(QueryResult { object, ids, select })
}

fn sorted<'o>(
    org: &Org,
    object: &Object,
    query: &Query,
    rows: Vec<(&'o String, &'o Row)>,
) -> Vec<(&'o String, &'o Row)> {
    if query.order.is_empty() {
        return rows; // by id, which is the order of creation
    }
    let mut keyed: Vec<_> = rows
        .into_iter()
        .map(|(id, row)| {
            let seen = Seen { org, object, row };
            let keys: Vec<(Value, bool)> = query.order.iter().map(|o| at_path(seen, &o.path)).collect();
            (keys, (id, row))
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let each = query.order.iter().enumerate().map(|(i, o)| order(&a[i], &b[i], o.descending, o.nulls_last));
        each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

fn selected(org: &Org, object: &Object, query: &Query) -> Result<Option<Vec<Path>>, ApiError> {
    let group = match &query.select {
        Select::Count => return Ok(None),
        Select::Paths(paths) => {
            for path in paths {
                check_path(org, object, path)?;
            }
            return Ok(Some(paths.clone()));
        }
        Select::Fields(group) => *group,
    };
    if group != Group::Standard && query.limit.is_none_or(|l| l > 200) {
        let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
        return Err(ApiError::data("MALFORMED_QUERY", message));
    }
    let fits = |custom: bool| match group {
        Group::All => true,
        Group::Standard => !custom,
        Group::Custom => custom,
    };
    let chosen = object.fields.iter().filter(|f| f.kind == Kind::Id || fits(f.custom()));
    Ok(Some(chosen.map(|f| vec![f.name.to_owned()]).collect()))
}

/// One record as the query wants it: canonical names, parents as nested records.
pub(crate) fn project(org: &Org, object: &Object, id: &str, select: &[Path], base: &str) -> Option<Value> {
    let row = org.table(object).get(id)?;
    Some(nested(Seen { org, object, row }, id, select, base))
}

fn nested(seen: Seen<'_>, id: &str, select: &[Path], base: &str) -> Value {
    let mut shown = Map::new();
    shown.insert("attributes".to_owned(), seen.org.attributes(seen.object, id, base));
    for path in select {
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        if rest.is_empty() {
            if let Some(field) = seen.object.field(first) {
                shown.insert(field.name.to_owned(), seen.org.value(seen.object, seen.row, field));
            }
            continue;
        }
        let Some(reference) = seen.object.relationship(first) else {
            continue;
        };
        let name = reference.relationship.unwrap_or_default().to_owned();
        if shown.contains_key(&name) {
            continue; // all paths through one parent were shown together
        }
        let through: Vec<Path> = select
            .iter()
            .filter(|p| p.len() > 1 && p[0].eq_ignore_ascii_case(first))
            .map(|p| p[1..].to_vec())
            .collect();
        let parent = seen.row.get(reference.name).and_then(Value::as_str).and_then(|id| {
            let object = seen.org.object(reference.reference_to)?;
            let row = seen.org.table(&object).get(id)?;
            Some(nested(Seen { org: seen.org, object: &object, row }, id, &through, base))
        });
        shown.insert(name, parent.unwrap_or(Value::Null));
    }
    Value::Object(shown)
}
