//! The proxy's own statements on the client's connection: extended protocol, names of their own, so that the client's
//! unnamed statement and portals stay what they are.

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use super::step::Step;

/// The portal that all own statements use, one after the other.
pub(super) const PORTAL: &str = "_upwrite_portal";
/// The client's simple query in extended form, and the portal it runs in.
pub(super) const QUERY: &str = "_upwrite_query";
/// The statement that evaluates RETURNING again.
pub(super) const RETURNING: &str = "_upwrite_returning";

/// State of the own statements of one connection.
pub(crate) struct OwnStatements {
    /// Sent with every `dry_run()`, as a bind parameter; the database has only its hash.
    pub(super) secret: String,
    /// Unguessable, so that no savepoint of the client's has this name.
    savepoint: String,
    /// Replies to Parse that are missing until all are prepared.
    pub(super) missing: usize,
}

impl OwnStatements {
    pub(crate) fn new() -> Self {
        let mut random = rand::rng();
        let (secret, savepoint) = (random.random::<[u8; 24]>(), random.random::<u128>());
        Self {
            secret: secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            savepoint: format!("_upwrite_{savepoint:032x}"),
            missing: STATEMENTS.len(),
        }
    }

    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// `DISCARD ALL` or `DEALLOCATE ALL` is on its way.
    pub(super) fn forget(&mut self) {
        self.missing = STATEMENTS.len();
    }

    pub(super) fn parsed(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }

    /// The SQL of a step that has a statement of its own.
    pub(super) fn text(&self, step: Step) -> String {
        match step {
            Step::Begin => "begin".to_owned(),
            Step::Rollback => "rollback".to_owned(),
            Step::Savepoint => format!("savepoint {}", self.savepoint),
            Step::RollbackTo => format!("rollback to savepoint {}", self.savepoint),
            Step::Release => format!("release savepoint {}", self.savepoint),
            Step::Mark => "/* proxy.mark */ select upwrite.mark()".to_owned(),
            Step::Flush => "/* proxy.flush */ select upwrite.flush()".to_owned(),
            Step::DryRun => {
                "/* proxy.dry_run */ select seq, relation, op, old, new, session from upwrite.dry_run($1)".to_owned()
            }
            Step::Raise => concat!(
                "/* proxy.raise */ do $upwrite$ begin raise exception using errcode = 'UW002', ",
                "message = 'the statement failed in Upwrite; the client has been told why'; end $upwrite$"
            )
            .to_owned(),
            Step::LastMutation => {
                "/* proxy.last_mutation */ select pg_catalog.set_config('upwrite.last_mutation', $1, false)".to_owned()
            }
            Step::FlushSynced => "/* proxy.flush_synced */ select upwrite.flush_synced()".to_owned(),
            // Not among STATEMENTS.
            Step::Prepare
            | Step::Rebind
            | Step::DescribeStatement
            | Step::DescribePortal
            | Step::Statement
            | Step::Returning
            | Step::Sync => String::new(),
        }
    }
}

/// The steps that have a statement of their own.
pub(super) const STATEMENTS: [Step; 11] = [
    Step::Begin,
    Step::Rollback,
    Step::Savepoint,
    Step::RollbackTo,
    Step::Release,
    Step::Mark,
    Step::Flush,
    Step::FlushSynced,
    Step::DryRun,
    Step::Raise,
    Step::LastMutation,
];

/// The name under which a step's statement is prepared; empty for the steps that have none.
pub(super) fn name(step: Step) -> &'static str {
    match step {
        Step::Begin => "_upwrite_begin",
        Step::Rollback => "_upwrite_rollback",
        Step::Savepoint => "_upwrite_savepoint",
        Step::RollbackTo => "_upwrite_rollbackto",
        Step::Release => "_upwrite_release",
        Step::Mark => "_upwrite_mark",
        Step::Flush => "_upwrite_flush",
        Step::FlushSynced => "_upwrite_flushsynced",
        Step::DryRun => "_upwrite_captured",
        Step::Raise => "_upwrite_raise",
        Step::LastMutation => "_upwrite_unattended",
        Step::Prepare
        | Step::Rebind
        | Step::DescribeStatement
        | Step::DescribePortal
        | Step::Statement
        | Step::Returning
        | Step::Sync => "",
    }
}
