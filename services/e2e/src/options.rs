//! What a site is made of.

use std::time::Duration;

use crate::Vendor;

/// Where the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    Postgres,
    /// On the broker that all tests of a process share, with topics of its own.
    Kafka {
        registry: bool,
    },
    /// On brokers of its own, which may be killed.
    OwnKafka {
        brokers: usize,
        registry: bool,
    },
}

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Options {
    pub log: Log,
    /// Of each stream.
    pub partitions: u16,
    /// After which silence others take a process's work.
    pub session_timeout: Duration,
    /// One source of each, named after it. Without Ledger the shipped executable runs.
    pub vendors: Vec<Vendor>,
    /// Generated records upstream.
    pub accounts: usize,
    pub contacts: usize,
    pub opportunities: usize,
    /// Of Ledger.
    pub entries: usize,
    /// How long after it was sent a lost request may take effect, as configured.
    pub late_effect: Duration,
    pub request_timeout: Duration,
    /// Whether creates carry an idempotency key; else they can only be probed for.
    pub keyed: bool,
    pub max_age: Duration,
    /// For how long after its last append an applier may start calls.
    pub lease: Duration,
    /// As in `[logging] level`.
    pub level: String,
    /// Postgres flushes to disk before it confirms.
    pub fsync: bool,
    /// Grace after SIGTERM.
    pub grace: Duration,
    pub max_connections: usize,
    /// Further sections of the configuration.
    pub more: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log: Log::Postgres,
            partitions: 8,
            session_timeout: Duration::from_secs(3),
            vendors: vec![Vendor::Salesforce],
            accounts: 5,
            contacts: 20,
            opportunities: 10,
            entries: 5,
            late_effect: Duration::from_secs(2),
            request_timeout: Duration::from_secs(2),
            keyed: true,
            max_age: Duration::from_secs(120),
            lease: Duration::from_secs(4),
            level: "info".to_owned(),
            fsync: false,
            grace: Duration::from_secs(10),
            max_connections: 200,
            more: String::new(),
        }
    }
}
