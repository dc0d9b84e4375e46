//! Whether upstream shows what was sent.

use upwrite_events::ColumnSpec;

use super::{Kind, stamp};
use crate::value::{array, decimal};

/// Whether `seen` is what upstream makes of `sent`, both in Postgres text: the vendor trims text, stores empty text
/// as null, cuts instants to milliseconds or seconds, rounds to the scale, completes 15-character ids and orders picklists.
pub(crate) fn same(column: &ColumnSpec, sent: Option<&str>, seen: Option<&str>) -> bool {
    if sent == seen {
        return true;
    }
    let normal = |value: Option<&str>| value.and_then(|text| normal(column, text));
    let (sent, seen) = (normal(sent), normal(seen));
    sent == seen || (Kind::of_column(column) == Kind::DateTime && is_cut(sent.as_deref(), seen.as_deref()))
}

/// Whether `seen` is `sent` without its milliseconds, both in the vendor's form.
fn is_cut(sent: Option<&str>, seen: Option<&str>) -> bool {
    let whole = |text: &str| text.split_once('.').map(|(whole, _)| whole.to_owned());
    let (Some(sent), Some(seen)) = (sent, seen) else { return false };
    seen.contains(".000") && whole(sent) == whole(seen)
}

fn normal(column: &ColumnSpec, text: &str) -> Option<String> {
    let converted = match Kind::of_column(column) {
        Kind::Id => Some(if text.len() == 18 { text.get(..15)?.to_owned() } else { text.to_owned() }),
        Kind::Text | Kind::Any => {
            let trimmed = text.trim().replace("\r\n", "\n");
            return (!trimmed.is_empty()).then_some(trimmed);
        }
        Kind::Integer => decimal::plain(text, Some(0)),
        Kind::Decimal => decimal::plain(text, decimal::scale_of(&column.sql_type)).map(|text| {
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }),
        Kind::Date => stamp::date(text),
        Kind::DateTime => stamp::instant_to_vendor(text),
        Kind::Time => stamp::clock_to_vendor(text),
        Kind::MultiPicklist => {
            let mut items = array::read(text).ok()?;
            items.sort();
            items.dedup();
            return (!items.is_empty()).then(|| items.join(";"));
        }
        Kind::Boolean | Kind::Compound => None,
    };
    Some(converted.unwrap_or_else(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::round_trips::column;
    use super::same;

    #[test]
    fn takes_the_vendors_changes_for_what_they_are() {
        let stamp = "2026-01-31 10:20:30.123456+00";
        for (vendor_type, sql_type, sent, seen, expected) in [
            ("string", "text", Some(" a "), Some("a"), true),
            ("string", "text", Some(""), None, true),
            ("string", "text", Some("a"), Some("b"), false),
            ("datetime", "timestamptz", Some(stamp), Some("2026-01-31 10:20:30.123+00"), true),
            ("datetime", "timestamptz", Some(stamp), Some("2026-01-31 10:20:30+00"), true),
            ("datetime", "timestamptz", Some(stamp), Some("2026-01-31 10:20:30.5+00"), false),
            ("datetime", "timestamptz", Some(stamp), Some("2026-01-31 10:20:31+00"), false),
            ("reference", "text", Some("003000000000001"), Some("003000000000001AAA"), true),
            ("multipicklist", "text[]", Some("{B,A}"), Some("{A,B}"), true),
            ("multipicklist", "text[]", Some("{}"), None, true),
            ("double", "numeric", Some("1.50"), Some("1.5"), true),
            ("double", "numeric(18,2)", Some("1.505"), Some("1.51"), true),
            ("boolean", "boolean", Some("t"), Some("f"), false),
            ("boolean", "boolean", Some("f"), None, false),
        ] {
            assert_eq!(same(&column(vendor_type, sql_type), sent, seen), expected, "{vendor_type} {sent:?} {seen:?}");
        }
    }
}
