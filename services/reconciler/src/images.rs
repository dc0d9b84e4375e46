//! Images of one table → the writes of them, set-wise: each a part of a statement. Pure.

use std::collections::{BTreeMap, BTreeSet};

use upwrite_events::Row;

use crate::columns::{Columns, Outbox, deletions, first_version, literal, quoted};
use crate::merge::Image;

/// Writes rows, as part of a statement: one text array a parameter.
#[derive(Debug)]
pub(crate) struct Write {
    /// `written as (…)`, one row for each that was written, and what depends on it.
    pub(crate) ctes: String,
    /// In the order of the statement's parameters, from [`FIRST_PARAMETER`] or the one that was asked for.
    pub(crate) arrays: Vec<Vec<Option<String>>>,
}

/// Of a write that is a statement by itself.
pub(crate) const FIRST_PARAMETER: usize = 1;

/// Rows that speak of the same columns: they share a write. Whichever columns those are, a key must not come twice.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    names: BTreeSet<&'a str>,
    rows: Vec<(&'a Image, &'a Row)>,
}

/// Groups rows by the columns they speak of.
pub(crate) fn groups<'a>(
    columns: &Columns,
    images: impl IntoIterator<Item = (&'a Image, &'a Row)>,
) -> impl ExactSizeIterator<Item = Group<'a>> {
    let mut groups: BTreeMap<BTreeSet<&str>, Vec<(&Image, &Row)>> = BTreeMap::new();
    for (image, row) in images {
        let spoken = row.keys().map(String::as_str).filter(|name| columns.types.contains_key(*name));
        let mut names: BTreeSet<&str> = spoken.collect();
        names.remove(columns.key.as_str());
        groups.entry(names).or_default().push((image, row));
    }
    groups.into_iter().map(|(names, rows)| Group { names, rows })
}

/// What is known of the records whose rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    /// There were none of these keys before.
    New,
    Any,
}

/// Writes a group; its parameters are from `first` on.
pub(crate) fn upsert(columns: &Columns, group: &Group<'_>, records: Records, first: usize) -> Write {
    let Group { names, rows } = group;
    let relation = &columns.relation;
    let key = quoted(&columns.key);
    let mut arrays = vec![rows.iter().map(|(image, _)| Some(image.key.clone())).collect()];
    // The ordinary case: a set of one is not worth a scan of a function with as many arguments as columns.
    let is_one = rows.len() == 1;
    let text = |index: usize| if is_one { format!("(${index}::text[])[1]") } else { format!("u.c{index}") };
    let cast = |name: &str, index: usize| {
        format!("{}::{}", text(index), columns.types.get(name).map_or("text", String::as_str))
    };
    let (mut targets, mut values, mut params) = (key.clone(), cast(&columns.key, first), format!("${first}::text[]"));
    for (index, name) in (first + 1..).zip(names) {
        let column = quoted(name);
        targets.push_str(&format!(", {column}"));
        values.push_str(&format!(", {}", cast(name, index)));
        params.push_str(&format!(", ${index}::text[]"));
        arrays.push(rows.iter().map(|(_, row)| row.get(*name).cloned().flatten()).collect());
    }
    let aliases = (first..).take(arrays.len()).map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
    let from = if is_one { String::new() } else { format!(" from unnest({params}) as u({aliases})") };
    let (version, conflict) = match records {
        // Should there be a row all the same, the statement fails, and is made again for any.
        Records::New => ("1".to_owned(), String::new()),
        Records::Any => {
            let set = |name: &&str| format!("{0} = excluded.{0}, ", quoted(name));
            let sets: String = names.iter().map(set).collect();
            let own = "_version = t._version + 1, _synced_at = excluded._synced_at";
            (first_version(&columns.table, &text(first)), format!(" on conflict ({key}) do update set {sets}{own}"))
        }
    };
    let write = format!(
        "insert into {relation} as t ({targets}, _version, _synced_at) overriding system value \
         select {values}, {version}, clock_timestamp(){from}{conflict}"
    );
    let image = columns.outbox.as_ref().map_or_else(|| "null".to_owned(), image_of);
    let returning = format!("t.{key} as key, t._version as version, {image} as image");
    let images = rows.iter().map(|(image, _)| *image);
    let ctes = written(&write, &returning, columns, first, &mut arrays, images);
    Write { ctes, arrays }
}

/// Deletes records; a key must not come twice.
pub(crate) fn delete<'a>(columns: &Columns, images: impl Iterator<Item = &'a Image> + Clone) -> Write {
    let (relation, key, key_type) = (&columns.relation, quoted(&columns.key), columns.key_type());
    let mut arrays = vec![images.clone().map(|image| Some(image.key.clone())).collect()];
    let write = format!("delete from {relation} t where t.{key} = any(${FIRST_PARAMETER}::text[]::{key_type}[])");
    let returning = format!("t.{key} as key, t._version + 1 as version, null::jsonb as image");
    let written = written(&write, &returning, columns, FIRST_PARAMETER, &mut arrays, images);
    let deletions = deletions(&columns.table, &format!("${FIRST_PARAMETER}::text[]"), key_type);
    Write { ctes: format!("{written}, {deletions}"), arrays }
}

/// The row as it is after the write, as [`Row`]. By `format`, which calls the types' output functions: a cast to text
/// does not do so for every type, and may be a user's own.
pub(crate) fn image_of(outbox: &Outbox) -> String {
    let names: Vec<String> = outbox.columns.iter().map(|name| literal(name)).collect();
    let value = |name: &String| {
        let column = quoted(name);
        format!("case when t.{column} is null then null else format('%s', t.{column}) end")
    };
    let values: Vec<String> = outbox.columns.iter().map(value).collect();
    format!("jsonb_object(array[{}]::text[], array[{}]::text[])", names.join(", "), values.join(", "))
}

/// The write as a part of a statement, which puts what it returns into the outbox, too, if there is one.
fn written<'a>(
    write: &str,
    returning: &str,
    columns: &Columns,
    first: usize,
    arrays: &mut Vec<Vec<Option<String>>>,
    images: impl Iterator<Item = &'a Image> + Clone,
) -> String {
    let written = format!("written as ({write} returning {returning})");
    if columns.outbox.is_none() {
        return written;
    }
    let (source, table) = (literal(&columns.table.source), literal(&columns.table.table));
    let versions = first + arrays.len();
    arrays.push(images.clone().map(|image| image.vendor_version.clone()).collect());
    arrays.push(images.map(|image| image.mutation.map(|id| id.to_string())).collect());
    let (mutations, key_type) = (versions + 1, columns.key_type());
    format!(
        "{written}, put_out as ( \
         insert into upwrite.outbox (source, table_name, key, version, vendor_version, image, mutation) \
         select {source}, {table}, o.key, w.version, o.vendor_version, w.image, o.mutation::uuid from written w \
         join unnest(${first}::text[], ${versions}::text[], ${mutations}::text[]) as o (key, vendor_version, mutation) \
           on o.key::{key_type} = w.key)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use upwrite_events::Interval;

    #[test]
    fn rows_with_the_same_columns_share_a_statement() {
        let columns = Columns {
            table: upwrite_events::TableName::new("sf", "contact"),
            relation: "sf.contact".into(),
            key: "id".into(),
            types: [("id", "text"), ("n", "numeric(18,2)"), ("odd name", "text")]
                .map(|(name, sql_type)| (name.to_owned(), sql_type.to_owned()))
                .into(),
            outbox: None,
        };
        let image = |key: &str| Image {
            key: key.into(),
            row: None,
            vendor_version: None,
            seen: Interval { begun_us: 0, ended_us: 0 },
            mutation: None,
            origin: upwrite_events::Partition { stream: upwrite_events::Stream::Observations, number: 0 },
        };
        let (a, b, c) = (image("a"), image("b"), image("c"));
        let full: Row = [("n".to_owned(), Some("1.00".to_owned())), ("odd name".to_owned(), None)].into();
        let part: Row = [("n".to_owned(), Some("2".to_owned())), ("unknown".to_owned(), None)].into();
        let groups = groups(&columns, [(&a, &full), (&b, &part), (&c, &full)]);
        let made: Vec<Write> = groups.map(|group| upsert(&columns, &group, Records::Any, 4)).collect();
        assert_eq!(made.len(), 2);
        let wide = made.iter().find(|upsert| upsert.arrays.len() == 3).unwrap();
        assert_eq!(wide.arrays[0], vec![Some("a".to_owned()), Some("c".to_owned())]);
        assert!(wide.ctes.contains("u.c5::numeric(18,2)"), "{}", wide.ctes);
        let alone = made.iter().find(|upsert| upsert.arrays.len() == 2).unwrap();
        assert!(alone.ctes.contains("($5::text[])[1]::numeric(18,2)"), "{}", alone.ctes);
        assert!(!alone.ctes.contains("unnest"), "{}", alone.ctes);
        assert!(wide.ctes.contains("\"odd name\" = excluded.\"odd name\""), "{}", wide.ctes);
    }
}
