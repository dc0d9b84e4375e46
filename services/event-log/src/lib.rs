#![doc = include_str!("../README.md")]

mod budgets;
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
pub use group::{Alone, Change, GroupConfig, Membership, PgMembership};
pub use log::{
    Claim, ClaimKey, Config, Engine, EventLog, KafkaConfig, KafkaLog, LogError, LogRecord, Measured, PostgresLog,
    Submission, Submitted, Subscription, Undecodable, VersionCheck, open, partition_for,
};
pub use notifier::{LOG_CHANNEL, MutationStatus, Notice, Notifier, OVERFLOW, VERDICT_CHANNEL};
