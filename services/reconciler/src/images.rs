//! Images of one table → the statements that write them, set-wise. Pure.

use std::collections::{BTreeMap, BTreeSet};

use upwrite_events::Row;

use crate::columns::{Columns, Outbox, literal, quoted};
use crate::merge::Image;

/// A statement that writes rows: one text array a parameter.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) sql: String,
    /// In the order of the statement's parameters.
    pub(crate) arrays: Vec<Vec<Option<String>>>,
}

/// Groups rows by the columns they speak of and makes one statement a group. A key must not come twice.
pub(crate) fn upserts<'a>(columns: &Columns, images: impl IntoIterator<Item = (&'a Image, &'a Row)>) -> Vec<Write> {
    let mut groups: BTreeMap<BTreeSet<&str>, Vec<(&Image, &Row)>> = BTreeMap::new();
    for (image, row) in images {
        let spoken = row.keys().map(String::as_str).filter(|name| columns.types.contains_key(*name));
        let mut names: BTreeSet<&str> = spoken.collect();
        names.remove(columns.key.as_str());
        groups.entry(names).or_default().push((image, row));
    }
    groups.into_iter().map(|(names, rows)| upsert(columns, &names, &rows)).collect()
}

fn upsert(columns: &Columns, names: &BTreeSet<&str>, rows: &[(&Image, &Row)]) -> Write {
    let relation = &columns.relation;
    let key = quoted(&columns.key);
    let mut arrays = vec![rows.iter().map(|(image, _)| Some(image.key.clone())).collect()];
    let cast = |name: &str, index: usize| {
        let value = if rows.len() == 1 { format!("(${index}::text[])[1]") } else { format!("u.c{index}") };
        format!("{value}::{}", columns.types.get(name).map_or("text", String::as_str))
    };
    let (mut targets, mut values, mut sets, mut params) =
        (key.clone(), cast(&columns.key, 1), vec![], "$1::text[]".to_owned());
    for (index, name) in (2..).zip(names) {
        let column = quoted(name);
        targets.push_str(&format!(", {column}"));
        values.push_str(&format!(", {}", cast(name, index)));
        params.push_str(&format!(", ${index}::text[]"));
        sets.push(format!("{column} = excluded.{column}"));
        arrays.push(rows.iter().map(|(_, row)| row.get(*name).cloned().flatten()).collect());
    }
    sets.push("_version = t._version + 1".to_owned());
    sets.push("_synced_at = excluded._synced_at".to_owned());
    let names = (1..=arrays.len()).map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
    let from = match rows {
        // The ordinary case: a set of one is not worth a scan of a function with as many arguments as columns.
        [_] => String::new(),
        _ => format!(" from unnest({params}) as u({names})"),
    };
    let write = format!(
        "insert into {relation} as t ({targets}, _version, _synced_at) overriding system value \
         select {values}, 1, clock_timestamp(){from} \
         on conflict ({key}) do update set {}",
        sets.join(", ")
    );
    let Some(outbox) = &columns.outbox else {
        return Write { sql: format!("/* reconciler.upsert */ {write}"), arrays };
    };
    let returning = format!("t.{key} as key, t._version as version, {} as image", image_of(outbox));
    let sql =
        with_outbox("upsert", &write, &returning, columns, outbox, &mut arrays, rows.iter().map(|(image, _)| *image));
    Write { sql, arrays }
}

/// Deletes records; a key must not come twice.
pub(crate) fn delete<'a>(columns: &Columns, images: impl Iterator<Item = &'a Image> + Clone) -> Write {
    let (relation, key, key_type) = (&columns.relation, quoted(&columns.key), columns.key_type());
    let mut arrays = vec![images.clone().map(|image| Some(image.key.clone())).collect()];
    let write = format!("delete from {relation} t where t.{key} = any($1::text[]::{key_type}[])");
    let Some(outbox) = &columns.outbox else {
        return Write { sql: format!("/* reconciler.delete */ {write}"), arrays };
    };
    let returning = format!("t.{key} as key, t._version + 1 as version, null::jsonb as image");
    let sql = with_outbox("delete", &write, &returning, columns, outbox, &mut arrays, images);
    Write { sql, arrays }
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

/// The same write, which puts what it returns into the outbox, too.
fn with_outbox<'a>(
    name: &str,
    write: &str,
    returning: &str,
    columns: &Columns,
    outbox: &Outbox,
    arrays: &mut Vec<Vec<Option<String>>>,
    images: impl Iterator<Item = &'a Image> + Clone,
) -> String {
    let (source, table) = (literal(&outbox.table.source), literal(&outbox.table.table));
    arrays.push(images.clone().map(|image| image.vendor_version.clone()).collect());
    arrays.push(images.map(|image| image.mutation.map(|id| id.to_string())).collect());
    let (versions, mutations, key_type) = (arrays.len() - 1, arrays.len(), columns.key_type());
    format!(
        "/* reconciler.{name} */ with written as ({write} returning {returning}) \
         insert into upwrite.outbox (source, table_name, key, version, vendor_version, image, mutation) \
         select {source}, {table}, o.key, w.version, o.vendor_version, w.image, o.mutation::uuid from written w \
         join unnest($1::text[], ${versions}::text[], ${mutations}::text[]) as o (key, vendor_version, mutation) \
           on o.key::{key_type} = w.key"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use upwrite_events::Interval;

    #[test]
    fn rows_with_the_same_columns_share_a_statement() {
        let columns = Columns {
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
        let made = upserts(&columns, [(&a, &full), (&b, &part), (&c, &full)]);
        assert_eq!(made.len(), 2);
        let wide = made.iter().find(|upsert| upsert.arrays.len() == 3).unwrap();
        assert_eq!(wide.arrays[0], vec![Some("a".to_owned()), Some("c".to_owned())]);
        assert!(wide.sql.contains("u.c2::numeric(18,2)"), "{}", wide.sql);
        let alone = made.iter().find(|upsert| upsert.arrays.len() == 2).unwrap();
        assert!(alone.sql.contains("($2::text[])[1]::numeric(18,2)") && !alone.sql.contains("unnest"), "{}", alone.sql);
        assert!(wide.sql.contains("\"odd name\" = excluded.\"odd name\""), "{}", wide.sql);
    }
}
