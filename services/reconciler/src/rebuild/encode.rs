//! Images as lines of COPY's text format. Pure.

use upwrite_events::Row;

use super::shapes::{ColumnSet, Shapes};
use crate::columns::{Columns, quoted};
use crate::images::image_of;
use crate::merge::Image;

/// A synced table's columns as the temporary tables have them. Without columns: only the order of images is of interest.
#[derive(Debug)]
pub(super) struct Layout {
    /// Quoted `schema.table`.
    pub(super) relation: String,
    /// Quoted key column.
    pub(super) key: String,
    pub(super) key_type: String,
    /// All that the reconciler writes but the key, by name: the order of [`Row`].
    pub(super) columns: Vec<Column>,
    /// SQL of what a row `t` that was written says in `upwrite.outbox`, if that is used.
    pub(super) outbox: Option<String>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its name in the temporary tables.
    pub(super) stored: String,
    pub(super) sql_type: String,
}

impl Column {
    /// Types whose explicit cast cuts off what is too long, where COPY would refuse it.
    fn is_cut(&self) -> bool {
        ["character varying(", "character(", "bit(", "bit varying("].iter().any(|cut| self.sql_type.starts_with(cut))
    }

    /// The type in the temporary tables.
    pub(super) fn stored_type(&self) -> &str {
        if self.is_cut() { "text" } else { &self.sql_type }
    }

    /// The value that the reconciler would write, from the temporary table `from`.
    pub(super) fn value(&self, from: &str) -> String {
        let column = &self.stored;
        if self.is_cut() { format!("{from}.{column}::{}", self.sql_type) } else { format!("{from}.{column}") }
    }
}

impl Layout {
    pub(super) fn new(columns: &Columns, with_rows: bool) -> Self {
        let mut all: Vec<Column> = columns
            .types
            .iter()
            .filter(|(name, _)| with_rows && **name != columns.key)
            .map(|(name, sql_type)| Column { name: name.clone(), stored: String::new(), sql_type: sql_type.clone() })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        for (place, column) in all.iter_mut().enumerate() {
            column.stored = format!("c{place}");
        }
        Self {
            relation: columns.relation.clone(),
            key: quoted(&columns.key),
            key_type: columns.types.get(&columns.key).cloned().unwrap_or_else(|| "text".to_owned()),
            columns: all,
            outbox: columns.outbox.as_ref().map(image_of),
        }
    }

    /// The columns of a set, by name.
    pub(super) fn columns_in<'a>(&'a self, spoken: &'a ColumnSet) -> impl Iterator<Item = &'a Column> {
        self.columns.iter().enumerate().filter(|(place, _)| spoken.has(*place)).map(|(_, column)| column)
    }
}

/// Where an image stands among all of its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogOrder {
    /// When its event was appended, in the log's clock.
    pub(super) at_us: i64,
    /// Position of the event, and place of the image in it: orders the images of one partition.
    pub(super) position: i64,
    pub(super) index: usize,
}

/// More than an event has rows.
const INDEX_BITS: u32 = 14;

/// Appends one line.
pub(super) fn line(to: &mut Vec<u8>, layout: &Layout, shapes: &Shapes, order: LogOrder, image: &Image) {
    text(to, &image.key);
    let index = i64::try_from(order.index).unwrap_or(i64::MAX).min((1 << INDEX_BITS) - 1);
    for number in [order.at_us, (order.position << INDEX_BITS) | index] {
        to.push(b'\t');
        to.extend_from_slice(number.to_string().as_bytes());
    }
    to.push(b'\t');
    nullable(to, image.vendor_version.as_deref());
    for number in [image.seen.begun_us, image.seen.ended_us] {
        to.push(b'\t');
        to.extend_from_slice(number.to_string().as_bytes());
    }
    to.extend_from_slice(if image.mutation.is_some() { b"\tt" } else { b"\tf" });
    to.extend_from_slice(if image.row.is_none() { b"\tt" } else { b"\tf" });
    let mut values = Vec::with_capacity(256);
    let mut spoken = ColumnSet::none(layout.columns.len());
    columns(&mut values, layout, image.row.as_ref(), &mut spoken);
    to.push(b'\t');
    to.extend_from_slice(shapes.number(&spoken).to_string().as_bytes());
    to.extend_from_slice(&values);
    to.push(b'\n');
}

/// Row and layout are both ordered by name.
fn columns(to: &mut Vec<u8>, layout: &Layout, row: Option<&Row>, spoken: &mut ColumnSet) {
    let mut values = row.into_iter().flatten().peekable();
    for (place, column) in layout.columns.iter().enumerate() {
        while values.next_if(|(name, _)| name.as_str() < column.name.as_str()).is_some() {}
        to.push(b'\t');
        match values.next_if(|(name, _)| **name == column.name) {
            Some((_, value)) => {
                spoken.add(place);
                nullable(to, value.as_deref());
            }
            None => nullable(to, None),
        }
    }
}

fn nullable(to: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => text(to, value),
        None => to.extend_from_slice(b"\\N"),
    }
}

/// A value, with what COPY gives a meaning to escaped.
pub(super) fn text(to: &mut Vec<u8>, value: &str) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r');
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        to.extend_from_slice(&rest[..at]);
        to.extend_from_slice(match rest[at] {
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    to.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use upwrite_events::Interval;

    use super::*;

    #[test]
    fn an_image_is_one_line_in_the_layouts_order() {
        let columns = Columns {
            table: upwrite_events::TableName::new("sf", "contact"),
            relation: "crm.contact".into(),
            key: "id".into(),
            types: [("id", "text"), ("b", "character varying(3)"), ("a", "integer"), ("c", "text")]
                .map(|(name, sql_type)| (name.to_owned(), sql_type.to_owned()))
                .into(),
            outbox: None,
        };
        let layout = Layout::new(&columns, true);
        let row: Row = [("c", Some("x\ty\\\n")), ("aa", Some("unknown")), ("id", Some("k")), ("a", None)]
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .into();
        let image = Image {
            key: "k".into(),
            row: Some(row),
            vendor_version: Some("v".into()),
            seen: Interval { begun_us: 1, ended_us: 2 },
            mutation: None,
            origin: upwrite_events::Partition { stream: upwrite_events::Stream::Observations, number: 0 },
        };
        let (mut lines, shapes) = (Vec::new(), Shapes::default());
        line(&mut lines, &layout, &shapes, LogOrder { at_us: 9, position: 1, index: 3 }, &image);
        assert_eq!(String::from_utf8(lines).unwrap(), "k\t9\t16387\tv\t1\t2\tf\tf\t0\t\\N\t\\N\tx\\ty\\\\\\n\n");
        let spoken = &shapes.all()[0];
        assert_eq!(layout.columns_in(spoken).map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(layout.columns[1].value("i"), "i.c1::character varying(3)");
    }
}
