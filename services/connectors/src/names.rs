//! Postgres names for the vendor's names.

use std::collections::{BTreeMap, BTreeSet};

use upwrite_events::is_own_column;

use crate::limits::MAX_IDENTIFIER_BYTES;

/// Columns that every Postgres table has.
const SYSTEM_COLUMNS: [&str; 7] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid"];

/// `FirstName` → `first_name`, `AccountId` → `account_id`, `Foo_Bar__c` → `foo_bar__c`, `LastCURequest` →
/// `last_cu_request`.
pub fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| chars.get(index));
        let after = chars.get(index + 1);
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if starts_word {
            out.push('_');
        }
        out.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    fit(out)
}

/// A Postgres name for each of the vendor's, all different. Where snake case would give two the same name, each of
/// these keeps its own lower-case name: those differ, for the vendor's names do not distinguish case. So a name does
/// not depend on the order in which the vendor lists them.
pub fn distinct(names: &[&str]) -> BTreeMap<String, String> {
    let mut chosen: BTreeMap<String, String> =
        names.iter().map(|name| ((*name).to_owned(), snake_case(name))).collect();
    loop {
        let mut holders: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for (name, column) in &chosen {
            holders.entry(column).or_default().push(name);
        }
        let clashing: BTreeSet<String> = holders
            .into_values()
            .filter(|holders| holders.len() > 1)
            .flatten()
            .filter(|name| chosen.get(*name).is_some_and(|column| *column != lower(name)))
            .cloned()
            .collect();
        if clashing.is_empty() {
            return chosen;
        }
        for name in clashing {
            let column = lower(&name);
            chosen.insert(name, column);
        }
    }
}

fn lower(name: &str) -> String {
    fit(name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect())
}

/// Within Postgres's length, by a hash of the whole name; not a name that is taken.
fn fit(name: String) -> String {
    if SYSTEM_COLUMNS.contains(&name.as_str()) || is_own_column(&name) {
        return format!("{name}_");
    }
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
    if name.len() <= MAX_IDENTIFIER_BYTES {
        return name;
    }
    // FNV-1a: the same in every version of this program, unlike the standard library's hash.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let kept: String = name.chars().take(MAX_IDENTIFIER_BYTES - 9).collect();
    format!("{kept}_{hash:08x}")
}

/// Whether a source may be called so: the name becomes the schema of its tables.
pub fn is_schema_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let all = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    starts && all && text.len() <= 63 && !text.starts_with("pg_") && !text.starts_with("upwrite")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_postgres_user_expects() {
        for (name, column) in [
            ("Id", "id"),
            ("FirstName", "first_name"),
            ("AccountId", "account_id"),
            ("Foo_Bar__c", "foo_bar__c"),
            ("UpwriteKey__c", "upwrite_key__c"),
            ("SystemModstamp", "system_modstamp"),
            ("LastCURequestDate", "last_cu_request_date"),
            ("Address1Line", "address1_line"),
            ("MyHTTP__c", "my_http__c"),
            ("Xmin", "xmin_"),
            ("1st", "_1st"),
        ] {
            assert_eq!(snake_case(name), column);
        }
    }

    #[test]
    fn clashes_are_resolved_whatever_the_order() {
        let one = distinct(&["FooBar__c", "Foo_Bar__c", "Name"]);
        let other = distinct(&["Name", "Foo_Bar__c", "FooBar__c"]);
        assert_eq!(one, other);
        assert_eq!(one["FooBar__c"], "foobar__c");
        assert_eq!(one["Foo_Bar__c"], "foo_bar__c");
    }

    #[test]
    fn long_names_fit_and_differ() {
        let (a, b) = (format!("{}A__c", "x".repeat(75)), format!("{}B__c", "x".repeat(75)));
        let names = distinct(&[&a, &b]);
        assert!(names.values().all(|name| name.len() <= MAX_IDENTIFIER_BYTES));
        assert_ne!(names[&a], names[&b]);
    }
}
