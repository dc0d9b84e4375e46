//! What is written comes back: Postgres text → JSON → Postgres text, for any value of each type.

use proptest::prelude::*;
use serde_json::value::RawValue;
use upwrite_events::ColumnSpec;

use super::{decode, encode, same};

pub(super) fn column(vendor_type: &str, sql_type: &str) -> ColumnSpec {
    ColumnSpec::new("c", sql_type).with_vendor_names("C", vendor_type)
}

fn there_and_back(column: &ColumnSpec, text: &str) -> Option<String> {
    let json = encode(column, Some(text)).expect("a value of the type");
    decode(column, &json)
}

proptest! {
    #[test]
    fn text(value in "[^\u{0}]{0,40}") {
        let column = column("string", "text");
        prop_assert_eq!(there_and_back(&column, &value), Some(value.clone()));
    }

    #[test]
    fn decimals_of_any_length(whole in "0|[1-9][0-9]{0,40}", fraction in "[0-9]{2}", negative: bool) {
        let zero = whole == "0" && fraction == "00";
        let value = format!("{}{whole}.{fraction}", if negative && !zero { "-" } else { "" });
        prop_assert_eq!(there_and_back(&column("currency", "numeric(50,2)"), &value), Some(value.clone()));
        prop_assert_eq!(there_and_back(&column("double", "numeric"), &value), Some(value.clone()));
    }

    #[test]
    fn integers(value: i64) {
        prop_assert_eq!(there_and_back(&column("long", "bigint"), &value.to_string()), Some(value.to_string()));
    }

    #[test]
    fn instants(year in 1_u32..=9999, month in 1_u32..=12, day in 1_u32..=28, second in 0_u32..86_400, milli in 0_u32..1_000) {
        let fraction = if milli == 0 { String::new() } else { format!(".{}", format!("{milli:03}").trim_end_matches('0')) };
        let clock = format!("{:02}:{:02}:{:02}{fraction}", second / 3_600, second / 60 % 60, second % 60);
        let date = format!("{year:04}-{month:02}-{day:02}");
        let instant = format!("{date} {clock}+00");
        prop_assert_eq!(there_and_back(&column("datetime", "timestamptz"), &instant), Some(instant.clone()));
        prop_assert_eq!(there_and_back(&column("date", "date"), &date), Some(date.clone()));
        prop_assert_eq!(there_and_back(&column("time", "time"), &clock), Some(clock.clone()));
    }

    #[test]
    fn picklists(items in prop::collection::vec("[^;\u{0}]{1,12}", 1..6)) {
        let text = crate::value::array::write(items.iter().map(String::as_str));
        prop_assert_eq!(crate::value::array::read(&text).ok(), Some(items));
        let column = column("multipicklist", "text[]");
        let back = there_and_back(&column, &text);
        prop_assert_eq!(back.as_deref(), Some(text.as_str()));
        prop_assert!(same(&column, Some(&text), back.as_deref()));
    }

    #[test]
    fn nothing_that_upstream_says_panics(json in "\"?[\\\\u0-9a-z{}:,.eE+TZ\" -]{0,30}\"?", kind in 0_usize..8) {
        let types = [("string", "text"), ("double", "numeric(9,2)"), ("int", "integer"), ("date", "date"),
            ("datetime", "timestamptz"), ("time", "time"), ("multipicklist", "text[]"), ("address", "jsonb")];
        let (vendor_type, sql_type) = types[kind];
        if let Ok(raw) = RawValue::from_string(json) {
            let column = column(vendor_type, sql_type);
            let text = decode(&column, &raw);
            let _ = encode(&column, text.as_deref());
        }
    }
}

#[test]
fn what_the_vendor_cannot_hold_is_refused_with_its_sqlstate() {
    for (vendor_type, sql_type, text, sqlstate) in [
        ("double", "numeric", "NaN", "22003"),
        ("double", "numeric", "Infinity", "22003"),
        ("date", "date", "infinity", "22008"),
        ("datetime", "timestamptz", "0044-03-15 00:00:00+00 BC", "22008"),
        ("multipicklist", "text[]", "{A;B}", "22P02"),
        ("multipicklist", "text[]", "{NULL}", "22P02"),
        ("multipicklist", "text[]", "{{A},{B}}", "22P02"),
        ("address", "jsonb", "{}", "428C9"),
        ("reference", "text", "pending:0190", "22023"),
    ] {
        assert_eq!(encode(&column(vendor_type, sql_type), Some(text)).unwrap_err().sqlstate, sqlstate, "{text}");
    }
}

#[test]
fn null_is_null() {
    let column = column("int", "integer");
    assert_eq!(encode(&column, None).unwrap().get(), "null");
    assert_eq!(decode(&column, &RawValue::from_string("null".to_owned()).unwrap()), None);
}
