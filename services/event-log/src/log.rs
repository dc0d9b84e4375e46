//! The log itself: the contract, and the two engines that fulfil it.

mod appender;
mod contract;
mod engine;
pub(crate) mod kafka;
mod measured;
mod per_partition;
mod postgres;
mod tail;

pub use contract::{
    EventLog, LogError, LogRecord, Submission, Submitted, Subscription, Undecodable, VersionCheck, partition_for,
};
pub use engine::{Engine, open};
pub use kafka::{KafkaConfig, KafkaLog};
pub use measured::Measured;
pub use postgres::{Config, PostgresLog};
