#![doc = include_str!("../README.md")]

mod appender;
mod clock;
mod contract;
mod engine;
mod group;
pub mod kafka;
mod measured;
mod notifier;
mod per_partition;
mod postgres;
mod tail;
pub mod trace;

pub use clock::{BootClock, Clock, Moment, PgClock};
pub use contract::{
    EventLog, LogError, LogRecord, Submission, Submitted, Subscription, Undecodable, VersionCheck, partition_for,
};
pub use engine::{Engine, open};
pub use group::{
    GroupConfig, GroupItem, KeyCollision, Membership, MembershipEvent, PgMembership, SharedBudgets, SoleMember,
};
pub use kafka::{KafkaConfig, KafkaLog};
pub use measured::Measured;
pub use notifier::{LOG_CHANNEL, Notice, Notifier, OVERFLOW, Standing, VERDICT_CHANNEL};
pub use postgres::{Config, PostgresLog};
pub use upwrite_events::{Claim, ClaimKey};
