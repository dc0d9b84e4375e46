//! Placeholders: the keys of records that upstream has not created yet.
//!
//! Key columns have defaults that make them (`upwrite.define_keys` in SQL): `pending:<uuid>` for text; for integers of any
//! size the negative numbers, ascending from the type's least. A test with a real Postgres holds the two together.

use crate::{ColumnSpec, TableSpec};

/// What the placeholder of a text key begins with; a UUID in its hyphenated form follows.
pub const PENDING_PREFIX: &str = "pending:";

/// Length of a text key's placeholder, bytes.
pub const TEXT_PLACEHOLDER_BYTES: usize = PENDING_PREFIX.len() + UUID_BYTES;

const UUID_BYTES: usize = 36;

/// Whether a text has exactly the form of a placeholder for a text key. Such a text names one record,
/// in whatever column it stands.
pub fn is_text_placeholder(text: &str) -> bool {
    let id = text.strip_prefix(PENDING_PREFIX);
    id.is_some_and(|id| id.len() == UUID_BYTES && uuid::Uuid::try_parse(id).is_ok())
}

/// Whether a text has the form of a placeholder for an integer key. Alone it proves nothing: amounts are negative, too.
fn is_integer_placeholder(text: &str) -> bool {
    let digits = text.strip_prefix('-');
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl TableSpec {
    /// Whether this is the key, in text form, of a record that upstream has not created yet.
    pub fn is_placeholder(&self, key: &str) -> bool {
        if !self.key_assigned_upstream {
            return false;
        }
        let integer = self.column(&self.key).is_some_and(|column| is_integer(&column.sql_type));
        if integer { is_integer_placeholder(key) } else { is_text_placeholder(key) }
    }
}

impl ColumnSpec {
    /// Whether a value of this column, in text form, is the placeholder of a record of that table. A number is one only
    /// in a column that refers to the table.
    pub fn names_placeholder(&self, value: &str, of: &TableSpec) -> bool {
        let refers = || self.references.as_deref() == Some(of.name.table.as_str());
        of.is_placeholder(value) && (is_text_placeholder(value) || refers())
    }
}

/// As Postgres spells them, and by their short names.
fn is_integer(sql_type: &str) -> bool {
    matches!(sql_type, "smallint" | "integer" | "bigint" | "int" | "int2" | "int4" | "int8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableName;

    const PENDING: &str = "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3c";

    fn table(key_type: &str) -> TableSpec {
        TableSpec::new(TableName::new("crm", "account"), "id", vec![ColumnSpec::new("id", key_type)])
    }

    #[test]
    fn a_text_keys_placeholder_has_one_form() {
        assert!(table("text").is_placeholder(PENDING));
        assert_eq!(PENDING.len(), TEXT_PLACEHOLDER_BYTES);
        for other in ["pending:", "pending:x", "pending:7f1c1f5e4b0a4c579d2e0d6f1c1b2a3c", "xpending:", "003A", "-7"] {
            assert!(!table("text").is_placeholder(other), "{other}");
        }
    }

    #[test]
    fn an_integer_keys_placeholder_is_a_negative_number() {
        for sql_type in ["smallint", "integer", "bigint", "int8"] {
            assert!(table(sql_type).is_placeholder("-9223372036854775808"));
            for other in ["0", "7", "-", "", "-x", "--7", "-7.5", PENDING] {
                assert!(!table(sql_type).is_placeholder(other), "{sql_type} {other}");
            }
        }
    }

    #[test]
    fn keys_that_clients_choose_are_no_placeholders() {
        for (sql_type, key) in [("text", PENDING), ("bigint", "-7")] {
            assert!(!table(sql_type).with_client_keys().is_placeholder(key));
        }
    }

    #[test]
    fn a_number_is_a_placeholder_only_where_it_refers_to_the_table() {
        let amount = ColumnSpec::new("amount", "bigint");
        assert!(!amount.names_placeholder("-7", &table("bigint")));
        assert!(
            ColumnSpec::new("account_id", "bigint").references("account").names_placeholder("-7", &table("bigint"))
        );
        assert!(!ColumnSpec::new("owner_id", "bigint").references("user").names_placeholder("-7", &table("bigint")));
    }

    #[test]
    fn a_text_placeholder_needs_no_declared_reference() {
        assert!(ColumnSpec::new("what_id", "text").names_placeholder(PENDING, &table("text")));
        assert!(!ColumnSpec::new("what_id", "text").names_placeholder(PENDING, &table("bigint")));
    }
}
