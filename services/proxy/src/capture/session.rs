//! The client's session as `upwrite.session(secret)` tells it.

use std::time::Duration;

use super::Settings;

/// Effective state of the client's session at the time of the dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: String,
    pub database: String,
    pub application_name: String,
    /// `read committed`, …
    pub isolation: String,
    /// `None`: no limit.
    pub statement_timeout: Option<Duration>,
    /// `None`: no limit.
    pub lock_timeout: Option<Duration>,
    pub settings: Settings,
}
