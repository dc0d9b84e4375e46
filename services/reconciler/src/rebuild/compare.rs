//! What differs between the log's images and what is there: as SQL. Pure.

use upwrite_events::TableName;

use super::encode::Layout;
use super::shapes::ColumnSet;
use crate::columns::{literal, quoted};

/// Keys that differ, numbered.
pub(super) const SUSPECTS: &str = "upwrite_suspects";

/// Whether row `l` differs from what image `i` speaks of, byte by byte.
pub(super) fn differs(layout: &Layout, shapes: &[ColumnSet]) -> String {
    let mut cases = String::new();
    for (number, spoken) in shapes.iter().enumerate() {
        let ours: Vec<String> = layout.columns_in(spoken).map(|column| column.value("i")).collect();
        if ours.is_empty() {
            continue;
        }
        let theirs: Vec<String> =
            layout.columns_in(spoken).map(|column| format!("l.{}", quoted(&column.name))).collect();
        // The casts keep Postgres from taking this apart into comparisons that not every type has.
        cases.push_str(&format!(
            " when {number} then row({})::record *<> row({})::record",
            ours.join(", "),
            theirs.join(", ")
        ));
    }
    if cases.is_empty() { "false".to_owned() } else { format!("case i._shape{cases} else false end") }
}

/// Fills [`SUSPECTS`]. `complete`: what the log does not know should not be there.
pub(super) fn suspects(
    layout: &Layout,
    shapes: &[ColumnSet],
    images: &str,
    table: &TableName,
    rows: bool,
    complete: bool,
) -> String {
    let Layout { relation, key, .. } = layout;
    let (source, name) = (literal(&table.source), literal(&table.table));
    let unknown = if complete { "or i._key is null" } else { "" };
    // By text: a key that is not of the column's type is a difference, not an error.
    let by_row = format!(
        "select coalesce(i._key, l.{key}::text) as key
           from {images} i full join {relation} l on l.{key}::text = i._key
          where l.{key} is null and not i._deleted {unknown}
             or l.{key} is not null and i._key is not null and (i._deleted or {})
         union ",
        differs(layout, shapes)
    );
    format!(
        "/* rebuild.compare */ create temporary table {SUSPECTS} as
         select row_number() over () as n, key from (
         {}
         select coalesce(i._key, r.key) as key
           from {images} i full join
                (select * from upwrite.records r where r.source = {source} and r.table_name = {name}) r on r.key = i._key
          where r.key is null {unknown} or i._key is not null and r.key is not null and (
                r.vendor_version is distinct from i._version or r.seen_begun_us <> i._begun or r.seen_ended_us <> i._ended
                or r.by_mutation <> i._mutation or r.deleted <> i._deleted)) all_of_them",
        if rows { by_row } else { String::new() }
    )
}
