//! Does the record show the change? Values in Postgres's text form, but as upstream gave them back.

use upwrite_connectors::{Connector, LookupResult};
use upwrite_events::{ColumnSpec, Interval, Op, Row, RowChange, TableSpec};

use super::row::{Look, Seen};

/// Whether upstream, asked to store the first value, may show the second ([`Connector::same`]).
pub(crate) type Same<'a> = &'a dyn Fn(&ColumnSpec, Option<&str>, Option<&str>) -> bool;

/// What a connector says is the same.
pub(crate) fn same_by(connector: &dyn Connector) -> impl Fn(&ColumnSpec, Option<&str>, Option<&str>) -> bool + '_ {
    |column, sent, seen| connector.same(column, sent, seen)
}

/// What a read of the record says about an update or a delete of it, or about an insert whose record was found.
pub(crate) fn judge(
    spec: &TableSpec,
    same: Same<'_>,
    change: &RowChange,
    found: LookupResult,
    interval: Interval,
) -> Look {
    let (key, image, vendor_version) = match found {
        LookupResult::Ambiguous => return Look::Unclear(None),
        LookupResult::Absent => return absent(change, interval),
        LookupResult::Present { key, image, vendor_version } => (key, image, vendor_version),
    };
    let look = match change.op {
        Op::Insert => Shows::New,
        Op::Delete => Shows::Old,
        Op::Update => shows(spec, same, change, &image),
    };
    let seen = Seen { key, image: Some(image), vendor_version, interval };
    match look {
        Shows::New => Look::Done(seen),
        Shows::Old => Look::NotDone,
        Shows::Neither => Look::Unclear(Some(seen)),
    }
}

/// The record that a read by its key found, whatever it looks like; `None`: gone, or several fit.
pub(crate) fn shown(found: LookupResult, interval: Interval) -> Option<Seen> {
    match found {
        LookupResult::Present { key, image, vendor_version } => {
            Some(Seen { key, image: Some(image), vendor_version, interval })
        }
        LookupResult::Absent | LookupResult::Ambiguous => None,
    }
}

fn absent(change: &RowChange, interval: Interval) -> Look {
    match change.op {
        Op::Insert => Look::NotDone,
        Op::Delete => Look::Done(Seen { key: change.key.clone(), image: None, vendor_version: None, interval }),
        // The record was deleted: before or after our update, that cannot be known.
        Op::Update => Look::Unclear(None),
    }
}

enum Shows {
    New,
    Old,
    Neither,
}

fn shows(spec: &TableSpec, same: Same<'_>, change: &RowChange, image: &Row) -> Shows {
    let all = |wanted: &Row| {
        change.changed.keys().all(|column| match (image.get(column), wanted.get(column)) {
            (Some(is), Some(wanted)) => match spec.column(column) {
                Some(column) => same(column, wanted.as_deref(), is.as_deref()),
                None => wanted == is,
            },
            // Not shown: cannot be known.
            _ => false,
        })
    };
    if all(&change.changed) {
        Shows::New
    } else if all(&change.old) {
        Shows::Old
    } else {
        Shows::Neither
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::{ColumnSpec, TableName};

    use super::*;

    fn spec() -> TableSpec {
        let columns = vec![ColumnSpec::new("name", "text"), ColumnSpec::new("n", "numeric(18,2)")];
        TableSpec::new(TableName::new("sf", "contact"), "id", columns)
    }

    fn row(values: &[(&str, Option<&str>)]) -> Row {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    fn look(op: Op, changed: Row, old: Row, found: Option<Row>) -> Look {
        let change =
            RowChange { table: TableName::new("sf", "contact"), op, key: "1".into(), version: Some(1), changed, old };
        let found = match found {
            Some(image) => LookupResult::Present { key: "1".into(), image, vendor_version: None },
            None => LookupResult::Absent,
        };
        judge(&spec(), &trimmed, &change, found, Interval { begun_us: 0, ended_us: 0 })
    }

    fn trimmed(_: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
        sent.map(str::trim) == seen.map(str::trim)
    }

    #[test]
    fn update_is_done_if_every_changed_column_is_new() {
        let new = row(&[("name", Some("b ")), ("n", Some("1.5"))]);
        let old = row(&[("name", Some("a")), ("n", None)]);
        let is = |name, n| look(Op::Update, new.clone(), old.clone(), Some(row(&[("name", name), ("n", n)])));
        assert!(matches!(is(Some("b"), Some("1.5")), Look::Done(_)));
        assert_eq!(is(Some("a"), None), Look::NotDone);
        assert!(matches!(is(Some("b"), None), Look::Unclear(Some(_))), "half of it is somebody else's work");
        assert!(matches!(is(Some("c"), Some("1.5")), Look::Unclear(Some(_))));
        assert_eq!(look(Op::Update, new.clone(), old.clone(), None), Look::Unclear(None));
        let partial = look(Op::Update, new, old, Some(row(&[("name", Some("b"))])));
        assert!(matches!(partial, Look::Unclear(Some(_))), "a column that is not shown tells nothing");
    }

    #[test]
    fn delete_is_done_if_the_record_is_gone() {
        assert!(matches!(look(Op::Delete, Row::new(), Row::new(), None), Look::Done(_)));
        assert_eq!(look(Op::Delete, Row::new(), Row::new(), Some(Row::new())), Look::NotDone);
    }

    #[test]
    fn insert_is_done_if_its_record_is_there() {
        assert!(matches!(look(Op::Insert, Row::new(), Row::new(), Some(Row::new())), Look::Done(_)));
        assert_eq!(look(Op::Insert, Row::new(), Row::new(), None), Look::NotDone);
    }

    #[test]
    fn a_read_by_key_shows_what_is_there_and_judges_nothing() {
        let interval = Interval { begun_us: 1, ended_us: 2 };
        let found =
            LookupResult::Present { key: "1".into(), image: row(&[("name", None)]), vendor_version: Some("v".into()) };
        let seen = shown(found, interval).unwrap();
        assert_eq!((seen.key.as_str(), seen.image, seen.interval), ("1", Some(row(&[("name", None)])), interval));
        assert_eq!(shown(LookupResult::Absent, interval), None);
        assert_eq!(shown(LookupResult::Ambiguous, interval), None);
    }
}
