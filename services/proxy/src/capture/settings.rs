//! The settings `upwrite.*`: Postgres takes any text for them, so they are read here, when they matter.

use std::time::Duration;

use upwrite_events::{Ack, DEFAULT_HOLD_TIMEOUT};

/// `upwrite.on_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTimeout {
    /// The mutation is withdrawn if nothing was sent.
    #[default]
    Revoke,
    /// It goes on; the client is told that its outcome is not known (40003).
    Continue,
}

/// `upwrite.on_rollback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRollback {
    #[default]
    Warn,
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub ack: Ack,
    pub hold_timeout: Duration,
    pub on_timeout: OnTimeout,
    pub on_rollback: OnRollback,
    pub traceparent: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ack: Ack::Reconciled,
            hold_timeout: DEFAULT_HOLD_TIMEOUT,
            on_timeout: OnTimeout::Revoke,
            on_rollback: OnRollback::Warn,
            traceparent: None,
        }
    }
}
