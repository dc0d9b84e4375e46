//! SOQL text. Names in it come from describes and are checked; values are quoted here.

use upwrite_events::{ColumnSpec, TableSpec};

use super::super::value::Kind;

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// `SELECT` of all columns.
pub(super) fn select(table: &TableSpec) -> String {
    format!("SELECT {} FROM {}", fields(table).join(","), table.object)
}

/// The vendor's names of all columns.
pub(super) fn fields(table: &TableSpec) -> Vec<&str> {
    table.columns.iter().map(|column| column.field.as_str()).collect()
}

/// A comparison that upstream can filter by, of a value in the vendor's JSON; `None`: compared here.
pub(super) fn equals(column: &ColumnSpec, json: &str) -> Option<String> {
    let text = || serde_json::from_str::<String>(json).ok();
    let literal = match Kind::of_column(column) {
        // Long text cannot be filtered by.
        _ if column.vendor_type == "textarea" || column.vendor_type == "encryptedstring" => return None,
        Kind::Id | Kind::Text => {
            let text = text()?;
            if text.trim().is_empty() || text.chars().count() > super::super::limits::MAX_FILTER_CHARS {
                return None;
            }
            quoted(text.trim())
        }
        Kind::Boolean | Kind::Integer => json.to_owned(),
        Kind::Date | Kind::DateTime => text()?.replace("+0000", "Z"),
        // Upstream may have rounded these, or they have no literal that all versions take.
        Kind::Decimal | Kind::Time | Kind::MultiPicklist | Kind::Compound | Kind::Any => return None,
    };
    Some(format!("{} = {literal}", column.field))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_literal_cannot_end_early() {
        assert_eq!(quoted("x' OR Name != '"), r"'x\' OR Name != \''");
        assert_eq!(quoted("\\\n\"漢"), "'\\\\\\n\\\"漢'");
    }
}
