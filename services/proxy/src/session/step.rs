//! The steps that the proxy takes by itself on the connection to the server.

/// What a reply to the proxy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Sets `upwrite.last_mutation`. Its reply is not waited for.
    LastMutation,
    Prepare,
    /// The client's Bind once more.
    Rebind,
    Begin,
    /// Reads which locks the client's transaction has.
    Mark,
    Savepoint,
    DescribeStatement,
    DescribePortal,
    /// The client's statement.
    Statement,
    Flush,
    FlushSynced,
    /// Reads what the dry run did.
    DryRun,
    RollbackTo,
    Release,
    Rollback,
    /// Fails the client's transaction.
    Raise,
    /// RETURNING once more, on the real rows.
    Returning,
    Sync,
}
