//! The contract that every engine fulfils.

use async_trait::async_trait;
use futures::stream::BoxStream;
use upwrite_events::{Claim, Event, MutationId, MutationRequested, Partition, Position, Stream, TableName};

/// One event at its place in the log.
#[derive(Debug, Clone)]
pub struct LogRecord {
    pub partition: Partition,
    pub position: Position,
    /// When it was appended: Unix time in microseconds, in the log's clock.
    pub appended_at_us: i64,
    /// `Err`: bytes that cannot be decoded, with the reason; for dead letters.
    pub event: Result<Event, Undecodable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    pub reason: String,
    pub value: Vec<u8>,
}

/// Events of one partition in order, without gaps, from a position on, waiting for more at the end. Ends with an error
/// only when the position does not exist (truncated or restored log); passing faults are retried inside.
pub type Subscription = BoxStream<'static, Result<Vec<LogRecord>, LogError>>;

/// What must still hold for the captured images to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCheck {
    pub table: TableName,
    /// Primary key in text form.
    pub key: String,
    /// The captured `_version`; `None`: the key must (still) be absent.
    pub version: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Submission {
    pub claims: Vec<Claim>,
    pub versions: Vec<VersionCheck>,
    pub request: MutationRequested,
}

/// What became of a submission. Only `Accepted` left anything behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Claimed and durable in the log.
    Accepted { partition: Partition, position: Position },
    /// `claim` belongs to the unfinished mutation `by`: wait for it, then dry-run again.
    Claimed { claim: Claim, by: MutationId },
    /// A captured row is no longer what it was: dry-run again.
    Stale,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// Definitely not appended.
    #[error("the event log did not take the event: {0}")]
    NotAppended(String),
    /// May have been appended.
    #[error("the event log did not answer whether it took the event: {0}")]
    Unknown(String),
    /// The log does not have that position, or is not the one it was: restored, truncated, another one, or one with
    /// settings that no promise can rest on.
    #[error("the event log is not as it was, or not as it must be: {0}")]
    Mismatch(String),
    #[error("the event log cannot be read: {0}")]
    Unavailable(String),
    /// A record was written by a newer version of this program. Passing over it would lose it: its partition stands
    /// still until this program is as new.
    #[error("the event log holds what only a newer version of Upwrite can read: {0}")]
    Newer(String),
    #[error("event of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
}

/// Append, subscribe, read range; and claims, which rest on what the engine can do in one step.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Number of partitions of each stream; fixed at setup.
    fn partitions(&self) -> u16;

    /// Appends events of one partition, in order, durable on return. Batched with other callers'. `NotAppended` and
    /// `TooLarge`: none of them is there. `Unknown`: any of them may be there (on Postgres: all or none).
    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError>;

    /// Claims every record, checks every version with a later snapshot, appends the request. `Claimed`, `Stale` and
    /// `NotAppended` leave nothing behind. `Unknown`: the engine ends the mutation by itself if its request did not get
    /// in (Kafka: `MutationVoided` in the same partition; whichever of the two stands first there, counts).
    async fn submit(&self, submission: Submission) -> Result<Submitted, LogError>;

    /// Reads from `from` on, forever.
    fn subscribe(&self, partition: Partition, from: Position) -> Subscription;

    /// Reads up to `limit` records from `from` on.
    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError>;

    /// The first position that is still there.
    async fn start(&self, partition: Partition) -> Result<Position, LogError>;

    /// The position that the next event will get.
    async fn end(&self, partition: Partition) -> Result<Position, LogError>;

    /// Copies a record that could not be decoded to where people look for such (Kafka: the topic of dead letters). May
    /// be called again for the same record.
    async fn dead_letter(&self, record: &LogRecord) -> Result<(), LogError> {
        let _ = record;
        Ok(())
    }
}

/// The partition of a mutation: by source, table and key of its first change. The same on every engine and in every
/// version: FNV-1a, 64 bits.
pub fn partition_for(stream: Stream, table: &TableName, key: &str, partitions: u16) -> Partition {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in [table.source.as_str(), table.table.as_str(), key] {
        // 0xff never occurs in UTF-8: it parts the parts.
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    let number = hash % u64::from(partitions.max(1));
    Partition { stream, number: u16::try_from(number).expect("a remainder by a u16 fits a u16") }
}
