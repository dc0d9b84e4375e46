//! What the transaction's relation locks show: whether the statement also wrote something that is not synced, and whether the
//! client holds locks that the reconciler would wait for.

use std::collections::HashMap;

use serde::Deserialize;

use super::error::PlanError;
use super::refuse;
use crate::error::PgError;

/// One lock of the own backend, as `upwrite.mark()` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Lock {
    pub(super) relation: u32,
    /// With its schema, for people.
    name: String,
    mode: Mode,
    synced: bool,
    /// `pg_class.relkind`.
    kind: String,
    /// Rows inserted, updated, deleted by this transaction.
    #[serde(default)]
    tuples: [Option<i64>; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[expect(clippy::enum_variant_names, reason = "as Postgres calls them")]
enum Mode {
    /// Of SERIALIZABLE transactions; blocks nothing.
    SIReadLock,
    AccessShareLock,
    RowShareLock,
    RowExclusiveLock,
    ShareUpdateExclusiveLock,
    ShareLock,
    ShareRowExclusiveLock,
    ExclusiveLock,
    AccessExclusiveLock,
}

impl Mode {
    /// Something was or could be written.
    fn writes(self) -> bool {
        !matches!(self, Self::SIReadLock | Self::AccessShareLock | Self::RowShareLock)
    }

    /// The reconciler cannot write the table or some of its rows: row locks of the client (`SELECT … FOR UPDATE`), or
    /// a table lock that conflicts with RowExclusiveLock. An UPDATE that was rolled back (RowExclusiveLock) leaves no row locked.
    fn hinders(self) -> bool {
        !matches!(
            self,
            Self::SIReadLock | Self::AccessShareLock | Self::RowExclusiveLock | Self::ShareUpdateExclusiveLock
        )
    }
}

#[derive(Deserialize)]
struct Mark {
    locks: Vec<Lock>,
    /// The transaction has changed a synced table before, by a statement that was not captured.
    #[serde(default)]
    armed: bool,
}

/// Reads `upwrite.mark()`. Refuses if what will be captured is not this statement's alone: the transaction cannot commit
/// any more, so nothing of it may go upstream.
pub(super) fn mark(json: &str) -> Result<Vec<Lock>, PlanError> {
    let mark: Mark = serde_json::from_str(json).map_err(|error| {
        PlanError::Refused(PgError::error("XX000", format!("upwrite.mark() is not understood: {error}")))
    })?;
    if mark.armed { Err(refuse::armed()) } else { Ok(mark.locks) }
}

/// The names of relations that are not synced and that the statement wrote. `before`: what the client's transaction had
/// locked and written when the statement began; `None` in autocommit.
pub(super) fn written_besides<'a>(before: Option<&[Lock]>, after: &'a [Lock]) -> Vec<&'a str> {
    let before: HashMap<(u32, Mode), [Option<i64>; 3]> =
        before.unwrap_or_default().iter().map(|lock| ((lock.relation, lock.mode), lock.tuples)).collect();
    let local = after.iter().filter(|lock| !lock.synced && lock.mode.writes() && is_written(&lock.kind));
    let mut names: Vec<&str> = local
        .filter(|lock| before.get(&(lock.relation, lock.mode)).is_none_or(|tuples| *tuples != lock.tuples))
        .map(|lock| lock.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Of the synced `relations`, one that the client's transaction had locked before the statement so that the reconciler
/// cannot write it.
pub(super) fn hindered<'a>(before: &'a [Lock], relations: &[u32]) -> Option<&'a str> {
    let lock = before.iter().find(|lock| lock.synced && lock.mode.hinders() && relations.contains(&lock.relation))?;
    Some(&lock.name)
}

/// Tables and system catalogs; not indexes, sequences, TOAST, composite types, or views (what is written through a view
/// has its own lock).
fn is_written(kind: &str) -> bool {
    matches!(kind, "r" | "p" | "f" | "m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(relation: u32, mode: &str, synced: bool, tuples: [i64; 3]) -> Lock {
        kind(relation, mode, synced, tuples, "r")
    }

    fn kind(relation: u32, mode: &str, synced: bool, tuples: [i64; 3], kind: &str) -> Lock {
        let json = serde_json::json!({"relation": relation, "name": format!("t{relation}"), "mode": mode,
            "synced": synced, "kind": kind, "tuples": tuples});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn in_autocommit_any_write_lock_besides_means_mixed() {
        let after = [
            lock(1, "RowExclusiveLock", true, [1, 0, 0]),
            lock(2, "RowShareLock", false, [0, 0, 0]),
            lock(3, "AccessShareLock", false, [0, 0, 0]),
            kind(4, "RowExclusiveLock", false, [0, 0, 0], "v"),
        ];
        assert!(written_besides(None, &after).is_empty());
        for mode in ["RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "AccessExclusiveLock"] {
            assert_eq!(written_besides(None, &[lock(9, mode, false, [0, 0, 0])]), ["t9"], "{mode}");
        }
    }

    #[test]
    fn in_a_block_growth_means_mixed() {
        let before = [lock(1, "RowExclusiveLock", false, [1, 0, 0])];
        assert!(written_besides(Some(&before), &before).is_empty());
        assert_eq!(written_besides(Some(&before), &[lock(1, "RowExclusiveLock", false, [1, 0, 1])]), ["t1"]);
        let more = [before[0].clone(), lock(1, "AccessExclusiveLock", false, [1, 0, 0])];
        assert_eq!(written_besides(Some(&before), &more), ["t1"]);
        let other = [before[0].clone(), lock(2, "RowExclusiveLock", false, [0, 0, 0])];
        assert_eq!(written_besides(Some(&before), &other), ["t2"]);
    }

    #[test]
    fn row_locks_of_the_client_hinder_the_reconciler() {
        for (mode, hinders) in [
            ("RowShareLock", true),
            ("RowExclusiveLock", false),
            ("ShareUpdateExclusiveLock", false),
            ("ShareLock", true),
            ("ExclusiveLock", true),
            ("AccessExclusiveLock", true),
        ] {
            let before = [lock(1, mode, true, [0, 0, 0])];
            assert_eq!(hindered(&before, &[1]).is_some(), hinders, "{mode}");
            assert!(hindered(&before, &[2]).is_none());
        }
    }

    #[test]
    fn a_mark_is_read() {
        let json = r#"{"locks":[{"relation":16385,"name":"public.audit","mode":"RowExclusiveLock","synced":false,"kind":"r","tuples":[1,0,null]}]}"#;
        assert_eq!(mark(json).unwrap().len(), 1);
        assert!(mark(r#"{"locks":[],"armed":false}"#).is_ok());
        assert!(matches!(mark(r#"{"locks":[],"armed":true}"#), Err(PlanError::Refused(_))));
        assert!(mark("[]").is_err());
    }
}
