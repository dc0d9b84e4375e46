//! The state of one mutation, and what it means.

use serde::{Deserialize, Serialize};

use crate::{Failure, IllegalTransition, Position};

/// Where a mutation stands. The first three are open, all others finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the log; nothing was sent that the log knows of.
    Requested,
    /// An attempt began, or some rows have their outcome and others not.
    Attempted,
    /// Waits for its next attempt.
    Deferred,
    /// Every row was applied.
    Applied,
    /// Every row was refused: nothing was applied.
    Rejected,
    /// Some rows were applied and others were not.
    Partial,
    /// At least one row's outcome cannot be known now.
    InDoubt,
    /// Withdrawn for the client before anything was applied.
    Revoked,
    /// The request does not count.
    Voided,
    /// Given up.
    Dead,
}

impl Phase {
    /// Whether the client has its verdict and the applier nothing more to send.
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Requested | Self::Attempted | Self::Deferred)
    }

    /// The name in `upwrite.mutations.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Attempted => "attempted",
            Self::Deferred => "deferred",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Partial => "partial",
            Self::InDoubt => "in_doubt",
            Self::Revoked => "revoked",
            Self::Voided => "voided",
            Self::Dead => "dead",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    Pending,
    /// With the key that upstream knows it by.
    Applied(String),
    Rejected,
    InDoubt,
}

/// What is known of one mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub phase: Phase,
    /// Where its request stands in the partition (or its void, if that came first).
    pub position: Position,
    pub rows: Vec<RowState>,
    /// The highest attempt in the log.
    pub attempts: u32,
    /// Some attempt may have been sent without its outcome being in the log.
    pub maybe_sent: bool,
    pub not_before_us: Option<i64>,
    pub revocation_requested: bool,
    pub outlived_rollback: bool,
    /// Claims outlive the verdict until `MutationSettled`.
    pub keep_claims: bool,
    pub settled: bool,
    /// The failure that decided, or the latest one.
    pub failure: Option<Failure>,
}

impl Lifecycle {
    pub(crate) fn new(phase: Phase, position: Position, rows: usize) -> Self {
        Self {
            phase,
            position,
            rows: vec![RowState::Pending; rows],
            attempts: 0,
            maybe_sent: false,
            not_before_us: None,
            revocation_requested: false,
            outlived_rollback: false,
            keep_claims: false,
            settled: false,
            failure: None,
        }
    }

    /// Whether nothing can come any more that touches the mutation's records.
    pub fn is_released(&self) -> bool {
        match self.phase {
            Phase::Requested | Phase::Attempted | Phase::Deferred => false,
            Phase::InDoubt => self.settled,
            _ => self.settled || !self.keep_claims,
        }
    }

    /// The rows still without an outcome.
    pub fn pending(&self) -> impl Iterator<Item = u32> + '_ {
        self.indexes(|state| matches!(state, RowState::Pending))
    }

    /// Indexes of the rows that were applied.
    pub fn applied(&self) -> impl Iterator<Item = u32> + '_ {
        self.indexes(|state| matches!(state, RowState::Applied(_)))
    }

    fn indexes(&self, wanted: impl Fn(&RowState) -> bool + 'static) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.rows).filter(move |(_, state)| wanted(state)).map(|(index, _)| index)
    }

    /// The phase that the rows' states amount to.
    pub(crate) fn conclude(&mut self) {
        let count = |wanted: fn(&RowState) -> bool| self.rows.iter().filter(|state| wanted(state)).count();
        let pending = count(|state| matches!(state, RowState::Pending));
        let applied = count(|state| matches!(state, RowState::Applied(_)));
        let in_doubt = count(|state| matches!(state, RowState::InDoubt));
        self.phase = if pending > 0 {
            Phase::Attempted
        } else if in_doubt > 0 {
            Phase::InDoubt
        } else if applied == self.rows.len() {
            Phase::Applied
        } else if applied == 0 {
            Phase::Rejected
        } else {
            Phase::Partial
        };
        if self.phase.is_finished() {
            self.not_before_us = None;
        }
    }

    pub(crate) fn state_mut(&mut self, row: u32) -> Result<&mut RowState, IllegalTransition> {
        self.rows.get_mut(row as usize).ok_or(IllegalTransition::NoSuchRow(row))
    }
}
