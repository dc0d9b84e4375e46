//! What classification says of a statement.

use std::sync::Arc;

use upwrite_events::{Op, TableName};

use crate::error::PgError;
use crate::returning::Returning;

/// One statement of a query string.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its own text, without the semicolon.
    pub text: Arc<str>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Cannot write a synced table as far as can be known, or cannot be parsed (the server words its own syntax
    /// error): sent on as it is. A text that cannot be parsed is one statement, though it may hold several.
    Relayed,
    /// Relayed too, but of interest to the session.
    Session(SessionCommand),
    Transaction(TransactionCommand),
    /// May write a synced table: run dry first.
    Captured(Box<PossibleWrite>),
    /// Not built: answered with this error, nothing is sent.
    Refused(PgError),
}

/// Commands after which the session has something to do of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCommand {
    /// `SET`, `RESET x`, `SET LOCAL`.
    Set,
    ResetAll,
    Show,
    /// `DISCARD ALL`: prepared statements, the proxy's own included, are gone.
    DiscardAll,
    /// `DISCARD PLANS | SEQUENCES | TEMP`.
    Discard,
    /// `DEALLOCATE ALL`: as with `DISCARD ALL`.
    DeallocateAll,
    /// `DEALLOCATE name`.
    Deallocate(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionCommand {
    Begin,
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `PREPARE TRANSACTION`.
    Prepare,
    /// `COMMIT PREPARED`, `ROLLBACK PREPARED`: of another transaction.
    Prepared,
}

/// What is known of a statement that may write a synced table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PossibleWrite {
    /// Named with its schema, known as synced, and nothing else in the statement or on the table can write anything: a
    /// `ROLLBACK` may go before `Sync`. If there are no changes all the same although the tag counts rows, it was
    /// another relation (a stale snapshot): run it again without that `ROLLBACK`.
    pub known_target: Option<TableName>,
    /// An INSERT, UPDATE or DELETE that changes one relation itself.
    pub plain: Option<PlainDml>,
    /// `COPY … FROM STDIN`.
    pub copy: bool,
    /// `EXPLAIN ANALYZE`: answered from the dry run; what was captured is never submitted.
    pub dry: bool,
    /// A function may have made of a placeholder key something that looks like any other value: if the dry run made
    /// placeholders and returned rows, the statement is refused before the append ([`PossibleWrite::refuse_hidden_keys`]).
    pub hides_keys: bool,
    /// W3C `traceparent` of the text's own sqlcommenter comment.
    pub traceparent: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlainDml {
    pub op: Op,
    /// `None`: the name is not qualified, so the row images say which table it is.
    pub table: Option<TableName>,
    /// `None`: the statement has no RETURNING.
    pub returning: Option<Returning>,
}

impl PossibleWrite {
    /// The refusal that [`PossibleWrite::hides_keys`] speaks of.
    pub fn refuse_hidden_keys() -> PgError {
        PgError::unsupported(
            "the statement computes with a key that upstream has yet to assign",
            "Return the key itself (RETURNING, or a CTE without functions over it) and compute in a second statement.",
        )
    }
}
