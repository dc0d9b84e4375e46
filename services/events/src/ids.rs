//! Names of things: mutations, owners, partitions, tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One mutation: one statement (later: one segment or transaction) that changed synced records. UUID version 7, made
/// by the proxy, so that ids sort by the time of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MutationId(pub Uuid);

impl MutationId {
    /// The key under which row `row` (its index in the request) is made known upstream. A function of the mutation
    /// alone, so that every attempt, by whichever applier, carries the same key. 36 + 1 + up to 6 characters.
    pub fn idempotency_key(self, row: u32) -> String {
        format!("{}-{row}", self.0)
    }

    /// The mutation that made this key; `None`: the key is not one of Upwrite's.
    pub fn of_idempotency_key(key: &str) -> Option<Self> {
        let (mutation, row) = key.rsplit_once('-')?;
        row.parse::<u32>().ok()?;
        mutation.parse().ok()
    }
}

impl fmt::Display for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MutationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// One taking of a partition by an applier: the id inside its `PartitionTaken`, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(pub Uuid);

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The two logs. A mutation's whole life is in one partition of `Mutations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Mutations,
    Observations,
}

impl Stream {
    /// The name in SQL columns and topic names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutations => "mutations",
            Self::Observations => "observations",
        }
    }
}

/// One partition of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition {
    pub stream: Stream,
    /// From 0 to the number of partitions - 1.
    pub number: u16,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream.as_str(), self.number)
    }
}

/// Place of a record in its partition; the first is 0, without gaps for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    pub const START: Self = Self(0);

    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A synced table: schema = source, as in `salesforce.contact`. Both parts as Postgres stores them (unquoted).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    pub source: String,
    pub table: String,
}

impl TableName {
    pub fn new(source: impl Into<String>, table: impl Into<String>) -> Self {
        Self { source: source.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.source, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_names_its_mutation() {
        let id = MutationId(Uuid::from_u128(7));
        assert_eq!(MutationId::of_idempotency_key(&id.idempotency_key(3)), Some(id));
        assert_eq!(MutationId::of_idempotency_key("K-17"), None);
        assert_eq!(MutationId::of_idempotency_key("7f1c2a70-0000-7000-8000-000000000000"), None);
    }
}
