//! What a process can do.

use crate::config::Config;

/// One of the things that a process can do. `upwrite run` does all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Proxy,
    Applier,
    Syncer,
    Control,
    Reconciler,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Applier => "applier",
            Self::Syncer => "syncer",
            Self::Control => "control",
            Self::Reconciler => "reconciler",
        }
    }

    /// What `upwrite run` runs.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let mut all = vec![Self::Proxy, Self::Applier, Self::Syncer, Self::Reconciler];
        all.extend(config.control.as_ref().map(|_| Self::Control));
        all
    }
}
