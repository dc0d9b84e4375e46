//! Claims: the names under which a mutation reserves the records that it changes.

use std::collections::BTreeSet;

use crate::{ColumnSpec, RowChange, TableName, TableSpec, fold_case};

/// A record's name among claims: `<column>=<value>` of the primary key, or of a column that upstream keeps unique. The
/// value in the form of [`fold_case`] where upstream's uniqueness does not distinguish case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey(pub String);

/// A record reserved for one unfinished mutation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    pub table: TableName,
    pub key: ClaimKey,
}

impl TableSpec {
    /// Everything that a mutation with this change reserves: the record's key, and its unique values before and after.
    pub fn claims_of(&self, change: &RowChange) -> BTreeSet<Claim> {
        let mut claims = BTreeSet::from([self.record_claim(&change.key)]);
        for column in self.unique_columns() {
            let values = [&change.old, &change.changed].into_iter().filter_map(|row| row.get(&column.name)?.as_ref());
            claims.extend(values.map(|value| self.claim(&column.name, value)));
        }
        claims
    }

    /// The claim of the record with that primary key, in text form.
    pub fn record_claim(&self, key: &str) -> Claim {
        self.claim(&self.key, key)
    }

    /// The claim of the record that has that value, in text form, in a unique column.
    pub fn claim(&self, column: &str, value: &str) -> Claim {
        let folds = self.unique_columns().any(|unique| unique.name == column && !unique.case_sensitive);
        let value = if folds { &fold_case(value) } else { value };
        Claim { table: self.name.clone(), key: ClaimKey(format!("{column}={value}")) }
    }

    /// The columns beside the primary key whose values upstream keeps unique.
    pub fn unique_columns(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.columns.iter().filter(|column| column.unique && column.name != self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Op, Row};

    fn contact() -> TableSpec {
        let columns = vec![
            ColumnSpec::new("id", "text").unique_ignoring_case(),
            ColumnSpec::new("name", "text"),
            ColumnSpec::new("email", "text").unique_ignoring_case(),
            ColumnSpec::new("code", "text").unique(),
            ColumnSpec::new("number", "bigint").unique(),
        ];
        TableSpec::new(TableName::new("crm", "contact"), "id", columns)
    }

    fn row(values: &[(&str, Option<&str>)]) -> Row {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    fn claims(op: Op, changed: Row, old: Row) -> Vec<String> {
        let table = contact().name;
        let change = RowChange { table, op, key: "003A".into(), version: None, changed, old };
        contact().claims_of(&change).into_iter().map(|claim| claim.key.0).collect()
    }

    #[test]
    fn a_record_is_claimed_by_its_key_and_its_unique_values() {
        let new = row(&[("name", Some("Ann")), ("email", Some("A@B.c")), ("code", Some("X")), ("number", Some("-7"))]);
        let all = ["code=X", "email=a@b.c", "id=003A", "number=-7"];
        assert_eq!(claims(Op::Insert, new.clone(), Row::new()), all);
        assert_eq!(claims(Op::Delete, Row::new(), new), all);
    }

    #[test]
    fn an_update_claims_old_and_new_values_but_not_null() {
        let old = row(&[("email", Some("A@B.c")), ("code", None), ("number", Some("1"))]);
        let changed = row(&[("email", Some("x@b.C")), ("number", None)]);
        assert_eq!(claims(Op::Update, changed, old), ["email=a@b.c", "email=x@b.c", "id=003A", "number=1"]);
    }

    #[test]
    fn a_value_that_only_changes_its_case_is_one_claim_where_case_does_not_count() {
        let (old, changed) = (row(&[("email", Some("a@b.c"))]), row(&[("email", Some("A@B.C"))]));
        assert_eq!(claims(Op::Update, changed, old), ["email=a@b.c", "id=003A"]);
        let (old, changed) = (row(&[("code", Some("x"))]), row(&[("code", Some("X"))]));
        assert_eq!(claims(Op::Update, changed, old), ["code=X", "code=x", "id=003A"]);
    }

    #[test]
    fn keys_are_never_folded() {
        assert_eq!(contact().record_claim("003a").key, ClaimKey("id=003a".into()));
        assert_ne!(contact().record_claim("003a"), contact().record_claim("003A"));
    }
}
