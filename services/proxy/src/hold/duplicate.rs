//! A duplicate that may go away: a dry run that met a record which an unfinished mutation is about to change.

use upwrite_event_log::{Claim, ClaimKey};
use upwrite_events::TableName;

use crate::catalog::Catalog;
use crate::error::PgError;
use crate::planning::claim_key;

/// The claim of the record in the way, from a 23505 of a synced table's own key.
pub(super) fn claim_of(error: &PgError, catalog: &Catalog) -> Option<Claim> {
    if error.sqlstate != "23505" {
        return None;
    }
    let name = TableName::new(error.schema.as_deref()?, error.table.as_deref()?);
    let table = catalog.by_name(&name)?;
    let (column, value) = key(error.detail.as_deref()?)?;
    Some(Claim { table: name, key: ClaimKey(claim_key(table, column, value)) })
}

/// Column and value of `Key (email)=(a@b.c) already exists.`, in any language; of `Key (lower(email::text))=(…)` too.
fn key(detail: &str) -> Option<(&str, &str)> {
    let begin = detail.find('(')? + 1;
    let middle = begin + detail.get(begin..)?.find(")=(")?;
    let end = detail.rfind(')')?;
    let value = detail.get(middle + 3..end)?;
    let column = detail.get(begin..middle)?;
    let column = column.strip_prefix("lower(").and_then(|inner| inner.strip_suffix(')')).unwrap_or(column);
    let column = column.strip_suffix("::text").unwrap_or(column);
    Some((column.trim_start_matches('(').trim_end_matches(')').trim_matches('"'), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn of(detail: &str) -> Option<String> {
        let error = PgError::error("23505", "duplicate").with_table("sf", "contact").with_detail(detail);
        claim_of(&error, &testing::catalog()).map(|claim| claim.key.0)
    }

    #[test]
    fn the_key_is_read_from_the_detail() {
        assert_eq!(of("Key (id)=(003A) already exists."), Some("id=003A".into()));
        assert_eq!(of("Key (lower(email))=(a@b.c) already exists."), Some("email=a@b.c".into()));
        assert_eq!(of("Key (lower((email)::text))=(a@b.c) already exists."), Some("email=a@b.c".into()));
        assert_eq!(of("Schlüssel »(email)=(A@b.c)« existiert bereits."), Some("email=a@b.c".into()));
        assert_eq!(of("Key (email)=(a)=(b) already exists."), Some("email=a)=(b".into()));
        assert_eq!(of("nothing of the kind"), None);
    }

    #[test]
    fn other_errors_and_tables_claim_nothing() {
        let detail = "Key (id)=(1) already exists.";
        let other = PgError::error("23503", "x").with_table("sf", "contact").with_detail(detail);
        assert_eq!(claim_of(&other, &testing::catalog()), None);
        let local = PgError::error("23505", "x").with_table("public", "note").with_detail(detail);
        assert_eq!(claim_of(&local, &testing::catalog()), None);
    }
}
