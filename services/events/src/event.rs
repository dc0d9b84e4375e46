//! The events, in causal order. Past-tense facts; repeats are legal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AppliedRow, Failure, Interval, MutationId, MutationRequested, ObservedRow, OwnerId, TableName};

/// Everything that can stand in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    MutationRequested(MutationRequested),
    MutationVoided(MutationVoided),
    RevocationRequested(RevocationRequested),
    MutationRevoked(MutationRevoked),
    PartitionTaken(PartitionTaken),
    PartitionReleased(PartitionReleased),
    MutationAttempted(MutationAttempted),
    MutationApplied(MutationApplied),
    MutationRejected(MutationRejected),
    MutationDeferred(MutationDeferred),
    MutationInDoubt(MutationInDoubt),
    MutationSettled(MutationSettled),
    MutationDead(MutationDead),
    MutationRedriven(MutationRedriven),
    MutationOutlivedRollback(MutationOutlivedRollback),
    RecordsObserved(RecordsObserved),
}

/// The request does not count; it may still be on its way. Whichever of the two is first in the partition wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationVoided {
    pub mutation: MutationId,
    pub reason: String,
}

/// The client has given up waiting and wants the mutation withdrawn unless it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRequested {
    pub mutation: MutationId,
    /// e.g. `hold_timeout`, `statement_timeout`, `cancel`.
    pub reason: String,
}

/// The owner's answer to `RevocationRequested`: the mutation was not applied and never will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationRevoked {
    pub mutation: MutationId,
    pub owner: OwnerId,
}

/// An applier now owns the partition. Its outcomes name this marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionTaken {
    pub owner: OwnerId,
    /// Who that is, for people: host and process id.
    pub process: String,
    /// For how long after an acknowledged append the owner may start calls, milliseconds.
    pub lease_ms: u32,
}

/// The owner has stopped in an orderly way and has nothing in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReleased {
    pub owner: OwnerId,
}

/// A call is about to be made. Written for tables with idempotency `probe` or `none`, where its absence proves that
/// there was no call; for others only when an owner whose lease has run out must hear from the log before it calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationAttempted {
    pub mutation: MutationId,
    pub owner: OwnerId,
    /// From 1.
    pub attempt: u32,
    /// Indexes into the request's rows.
    pub rows: Vec<u32>,
    pub attempted_at_us: i64,
}

/// Upstream accepted these rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationApplied {
    pub mutation: MutationId,
    pub owner: OwnerId,
    pub attempt: u32,
    pub rows: Vec<AppliedRow>,
    /// A late effect of an earlier attempt is possible: claims stay until `MutationSettled`.
    pub keep_claims: bool,
}

/// Upstream refused these rows for good: they are not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationRejected {
    pub mutation: MutationId,
    pub owner: OwnerId,
    pub attempt: u32,
    pub rows: Vec<u32>,
    pub failure: Failure,
    /// As in [`MutationApplied`].
    pub keep_claims: bool,
}

/// Not now: the next attempt is not before the given time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationDeferred {
    pub mutation: MutationId,
    pub owner: OwnerId,
    /// The attempt that failed.
    pub attempt: u32,
    pub not_before_us: i64,
    /// `Unknown` outcome: an attempt may have been applied.
    pub failure: Failure,
}

/// Nobody can know now whether these rows were applied. The client gets SQLSTATE 40003.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationInDoubt {
    pub mutation: MutationId,
    pub owner: OwnerId,
    pub attempt: u32,
    pub rows: Vec<u32>,
    pub failure: Failure,
}

/// No late effect is possible any more: claims may go. `rows` is what was read back, to be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationSettled {
    pub mutation: MutationId,
    pub owner: OwnerId,
    /// Of rows that were in doubt: those that turned out to be applied.
    pub applied: Vec<u32>,
    /// Of rows that were in doubt: those that turned out not to be applied.
    pub not_applied: Vec<u32>,
    pub rows: Vec<AppliedRow>,
}

/// Given up by an operator or after the maximum age; never sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationDead {
    pub mutation: MutationId,
    pub owner: OwnerId,
    pub failure: Failure,
}

/// An operator asked for it again, as the new mutation `successor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationRedriven {
    pub mutation: MutationId,
    pub successor: MutationId,
    pub operator: String,
}

/// The client's transaction rolled back after upstream had applied this mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationOutlivedRollback {
    pub mutation: MutationId,
    /// e.g. `rollback`, `rollback to savepoint`, `connection ended`, `commit failed`.
    pub reason: String,
}

/// A read of upstream saw these records of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsObserved {
    pub table: TableName,
    /// The read: `backfill`, `incremental`, `by_id`, `sweep`.
    pub kind: String,
    pub seen: Interval,
    pub rows: Vec<ObservedRow>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    Mutation(MutationId),
    /// The partition that has the event in it; the id of the marker.
    Partition(OwnerId),
    Table(&'a TableName),
}

/// The id or name of the subject.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mutation(mutation) => mutation.fmt(f),
            Self::Partition(owner) => owner.fmt(f),
            Self::Table(table) => table.fmt(f),
        }
    }
}

impl Event {
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::MutationRequested(event) => Subject::Mutation(event.mutation),
            Self::MutationVoided(event) => Subject::Mutation(event.mutation),
            Self::RevocationRequested(event) => Subject::Mutation(event.mutation),
            Self::MutationRevoked(event) => Subject::Mutation(event.mutation),
            Self::PartitionTaken(event) => Subject::Partition(event.owner),
            Self::PartitionReleased(event) => Subject::Partition(event.owner),
            Self::MutationAttempted(event) => Subject::Mutation(event.mutation),
            Self::MutationApplied(event) => Subject::Mutation(event.mutation),
            Self::MutationRejected(event) => Subject::Mutation(event.mutation),
            Self::MutationDeferred(event) => Subject::Mutation(event.mutation),
            Self::MutationInDoubt(event) => Subject::Mutation(event.mutation),
            Self::MutationSettled(event) => Subject::Mutation(event.mutation),
            Self::MutationDead(event) => Subject::Mutation(event.mutation),
            Self::MutationRedriven(event) => Subject::Mutation(event.mutation),
            Self::MutationOutlivedRollback(event) => Subject::Mutation(event.mutation),
            Self::RecordsObserved(event) => Subject::Table(&event.table),
        }
    }

    /// The mutation that the event is about, if it is about one.
    pub fn mutation(&self) -> Option<MutationId> {
        match self.subject() {
            Subject::Mutation(mutation) => Some(mutation),
            Subject::Partition(_) | Subject::Table(_) => None,
        }
    }

    /// The W3C trace context that the event has in it.
    pub fn traceparent(&self) -> Option<&str> {
        match self {
            Self::MutationRequested(request) => request.traceparent.as_deref(),
            Self::MutationVoided(_)
            | Self::RevocationRequested(_)
            | Self::MutationRevoked(_)
            | Self::PartitionTaken(_)
            | Self::PartitionReleased(_)
            | Self::MutationAttempted(_)
            | Self::MutationApplied(_)
            | Self::MutationRejected(_)
            | Self::MutationDeferred(_)
            | Self::MutationInDoubt(_)
            | Self::MutationSettled(_)
            | Self::MutationDead(_)
            | Self::MutationRedriven(_)
            | Self::MutationOutlivedRollback(_)
            | Self::RecordsObserved(_) => None,
        }
    }

    /// The marker of the applier that says so, for events that count only from the partition's owner.
    pub fn owner(&self) -> Option<OwnerId> {
        match self {
            Self::MutationRevoked(event) => Some(event.owner),
            Self::MutationAttempted(event) => Some(event.owner),
            Self::MutationApplied(event) => Some(event.owner),
            Self::MutationRejected(event) => Some(event.owner),
            Self::MutationDeferred(event) => Some(event.owner),
            Self::MutationInDoubt(event) => Some(event.owner),
            Self::MutationSettled(event) => Some(event.owner),
            Self::MutationDead(event) => Some(event.owner),
            Self::MutationRequested(_)
            | Self::MutationVoided(_)
            | Self::RevocationRequested(_)
            | Self::PartitionTaken(_)
            | Self::PartitionReleased(_)
            | Self::MutationRedriven(_)
            | Self::MutationOutlivedRollback(_)
            | Self::RecordsObserved(_) => None,
        }
    }

    /// Name of the event, as in Avro and in headers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MutationRequested(_) => "MutationRequested",
            Self::MutationVoided(_) => "MutationVoided",
            Self::RevocationRequested(_) => "RevocationRequested",
            Self::MutationRevoked(_) => "MutationRevoked",
            Self::PartitionTaken(_) => "PartitionTaken",
            Self::PartitionReleased(_) => "PartitionReleased",
            Self::MutationAttempted(_) => "MutationAttempted",
            Self::MutationApplied(_) => "MutationApplied",
            Self::MutationRejected(_) => "MutationRejected",
            Self::MutationDeferred(_) => "MutationDeferred",
            Self::MutationInDoubt(_) => "MutationInDoubt",
            Self::MutationSettled(_) => "MutationSettled",
            Self::MutationDead(_) => "MutationDead",
            Self::MutationRedriven(_) => "MutationRedriven",
            Self::MutationOutlivedRollback(_) => "MutationOutlivedRollback",
            Self::RecordsObserved(_) => "RecordsObserved",
        }
    }
}
