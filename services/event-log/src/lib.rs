//! Where events are written, and where records are claimed. Hides the engine: the Postgres that is there anyway
//! (here) or Kafka behind [`EventLog`].

mod contract;

pub use contract::{
    Claim, ClaimKey, EventLog, LogError, LogRecord, Submission, Submitted, Subscription, Undecodable, VersionCheck, partition_for,
};
