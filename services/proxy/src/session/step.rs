//! The steps that the proxy takes by itself on the connection to the server.

/// What a reply to the proxy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Nobody waits for it.
    Unattended,
    Prepare,
    Rebind,
    Begin,
    Mark,
    Savepoint,
    DescribeStatement,
    DescribePortal,
    /// The client's statement.
    Statement,
    Flush,
    FlushSynced,
    Captured,
    RollbackTo,
    Release,
    Rollback,
    Raise,
    Returning,
    Sync,
}
