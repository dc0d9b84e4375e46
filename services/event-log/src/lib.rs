#![doc = include_str!("../README.md")]

mod budgets;
mod clock;
mod group;
mod log;
mod notifier;
mod publisher;
pub mod trace;

/// What is particular to the log on Kafka: its topics, its options, and the topics of records.
pub mod kafka {
    pub use crate::log::kafka::{
        HEADER_EVENT, HEADER_MUTATION, HEADER_SCHEMA, HEADER_TRACEPARENT, KafkaConfig, KafkaLog, PrepareError,
        Registry, TokenError, Unanswered, check, cluster_id, prepare,
    };
    pub use crate::publisher::{
        HEADER_OUTBOX, HEADER_VERSION, RecordsError, RecordsPublisher, run_records, synced_tables,
    };
}

pub use budgets::SharedBudgets;
pub use clock::{BootClock, Clock, Moment, PgClock};
pub use group::{GroupConfig, GroupItem, KeyCollision, Membership, MembershipEvent, PgMembership, SoleMember};
pub use log::{
    Config, Engine, EventLog, KafkaConfig, KafkaLog, LogError, LogRecord, Measured, PostgresLog, Submission, Submitted,
    Subscription, Undecodable, VersionCheck, open, partition_for,
};
pub use notifier::{LOG_CHANNEL, MutationStatus, Notice, Notifier, OVERFLOW, VERDICT_CHANNEL};
pub use upwrite_events::{Claim, ClaimKey};
