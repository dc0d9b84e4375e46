//! A mutation's state, as one pure fold over the events of its partition. Every stage uses this one.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{Event, Failure, MutationId, OwnerId, Position};

/// Where a mutation stands. The first three are open, all others finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the log; as far as the log tells, nothing was sent.
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
    /// Withdrawn at the client's wish before anything was applied.
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
    /// The highest attempt that the log tells of.
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

/// What the client is to be told, derived from the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With the keys, in row order.
    Applied(Vec<String>),
    /// Definitely nothing was applied.
    Rejected(Failure),
    /// Some rows were applied, and which.
    Partial { applied: Vec<u32>, failure: Option<Failure> },
    /// Nobody can know.
    Unknown(Option<Failure>),
    /// Withdrawn before anything was sent.
    Revoked,
    /// Never counted: not applied.
    Voided,
}

impl Lifecycle {
    fn new(phase: Phase, position: Position, rows: usize) -> Self {
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

    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.phase {
            Phase::Requested | Phase::Attempted | Phase::Deferred => None,
            Phase::Applied => Some(Verdict::Applied(self.keys())),
            Phase::Revoked => Some(Verdict::Revoked),
            Phase::Voided => Some(Verdict::Voided),
            Phase::Partial => {
                Some(Verdict::Partial { applied: self.applied().collect(), failure: self.failure.clone() })
            }
            Phase::InDoubt | Phase::Dead => Some(Verdict::Unknown(self.failure.clone())),
            Phase::Rejected => Some(match &self.failure {
                Some(failure) => Verdict::Rejected(failure.clone()),
                None => Verdict::Unknown(None),
            }),
        }
    }

    /// Indexes of the rows that were applied.
    pub fn applied(&self) -> impl Iterator<Item = u32> + '_ {
        self.indexes(|state| matches!(state, RowState::Applied(_)))
    }

    fn keys(&self) -> Vec<String> {
        self.rows
            .iter()
            .filter_map(|state| match state {
                RowState::Applied(key) => Some(key.clone()),
                _ => None,
            })
            .collect()
    }

    fn indexes(&self, wanted: impl Fn(&RowState) -> bool + 'static) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.rows).filter(move |(_, state)| wanted(state)).map(|(index, _)| index)
    }

    /// The phase that the rows' states amount to.
    fn settle_phase(&mut self) {
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

    fn state_mut(&mut self, row: u32) -> Result<&mut RowState, Illegal> {
        self.rows.get_mut(row as usize).ok_or(Illegal::NoSuchRow(row))
    }
}

/// What an event did to the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// The mutation's state changed.
    Changed(MutationId),
    /// Nothing new: a repeat, or what came too late to count (a void after the request).
    Repeat(MutationId),
    /// An ousted owner's word: a hint to the present owner, never a verdict.
    Evidence(MutationId),
    /// The partition has a new owner, or none.
    Owner,
    /// Does not speak of mutations.
    Other,
}

/// An event that cannot be: it goes to dead letters, and the fold is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("{event} of a mutation that this partition does not know")]
    UnknownMutation { event: &'static str },
    #[error("{event} cannot follow in state {}", state.as_str())]
    Transition { event: &'static str, state: Phase },
    #[error("the mutation has no row {0}")]
    NoSuchRow(u32),
    #[error("a request without rows")]
    NoRows,
}

/// How many finished and released mutations are remembered, so that late repeats are known as such.
const REMEMBERED: usize = 65_536;

/// The fold over one partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionFold {
    owner: Option<OwnerId>,
    mutations: HashMap<MutationId, Lifecycle>,
    forgotten: HashSet<MutationId>,
    forgotten_order: VecDeque<MutationId>,
}

impl PartitionFold {
    /// The fold as of a snapshot: the partition's owner and the mutations that were not released.
    pub fn restore(owner: Option<OwnerId>, mutations: impl IntoIterator<Item = (MutationId, Lifecycle)>) -> Self {
        Self { owner, mutations: mutations.into_iter().collect(), ..Self::default() }
    }

    pub fn owner(&self) -> Option<OwnerId> {
        self.owner
    }

    pub fn get(&self, mutation: MutationId) -> Option<&Lifecycle> {
        self.mutations.get(&mutation)
    }

    pub fn iter(&self) -> impl Iterator<Item = (MutationId, &Lifecycle)> {
        self.mutations.iter().map(|(id, lifecycle)| (*id, lifecycle))
    }

    /// Drops a released mutation from memory. Later repeats of its events are still taken as repeats.
    pub fn forget(&mut self, mutation: MutationId) {
        if self.mutations.remove(&mutation).is_some() && self.forgotten.insert(mutation) {
            self.forgotten_order.push_back(mutation);
            if self.forgotten_order.len() > REMEMBERED
                && let Some(oldest) = self.forgotten_order.pop_front()
            {
                self.forgotten.remove(&oldest);
            }
        }
    }

    /// Folds one event in. Total: any event, in any state, in any order, gives a documented answer.
    pub fn apply(&mut self, position: Position, event: &Event) -> Result<Folded, Illegal> {
        match event {
            Event::PartitionTaken(taken) => return Ok(self.take(taken.owner)),
            Event::PartitionReleased(released) => return Ok(self.release(released.owner)),
            _ => {}
        }
        let Some(mutation) = event.mutation() else { return Ok(Folded::Other) };
        if self.forgotten.contains(&mutation) {
            return Ok(Folded::Repeat(mutation));
        }
        if let Some(owner) = event.owner()
            && self.owner != Some(owner)
        {
            return Ok(Folded::Evidence(mutation));
        }
        match self.mutations.get_mut(&mutation) {
            Some(lifecycle) => {
                let mut next = lifecycle.clone();
                step(&mut next, event)?;
                if next == *lifecycle {
                    return Ok(Folded::Repeat(mutation));
                }
                *lifecycle = next;
            }
            // What clients add afterwards may come when the mutation is long released and forgotten.
            None if matches!(event, Event::RevocationRequested(_) | Event::MutationOutlivedRollback(_)) => {
                return Ok(Folded::Repeat(mutation));
            }
            None => {
                self.mutations.insert(mutation, begin(position, event)?);
            }
        }
        Ok(Folded::Changed(mutation))
    }

    fn take(&mut self, owner: OwnerId) -> Folded {
        if self.owner != Some(owner) {
            // Whatever an owner that did not release the partition had begun may have been sent.
            let in_flight = self.owner.replace(owner).is_some();
            for lifecycle in self.mutations.values_mut().filter(|lifecycle| !lifecycle.phase.is_finished()) {
                lifecycle.maybe_sent |= in_flight;
            }
        }
        Folded::Owner
    }

    fn release(&mut self, owner: OwnerId) -> Folded {
        if self.owner == Some(owner) {
            self.owner = None;
        }
        Folded::Owner
    }
}

/// The first event of a mutation: whichever of request and void comes first counts.
fn begin(position: Position, event: &Event) -> Result<Lifecycle, Illegal> {
    match event {
        Event::MutationRequested(request) if request.rows.is_empty() => Err(Illegal::NoRows),
        Event::MutationRequested(request) => Ok(Lifecycle::new(Phase::Requested, position, request.rows.len())),
        Event::MutationVoided(_) => Ok(Lifecycle::new(Phase::Voided, position, 0)),
        other => Err(Illegal::UnknownMutation { event: other.name() }),
    }
}

/// The transition table.
fn step(life: &mut Lifecycle, event: &Event) -> Result<(), Illegal> {
    let illegal = Illegal::Transition { event: event.name(), state: life.phase };
    let open = !life.phase.is_finished();
    match event {
        // The first one counted; whatever of the two comes later changes nothing.
        Event::MutationRequested(_) | Event::MutationVoided(_) => {}
        Event::RevocationRequested(_) => life.revocation_requested |= open,
        Event::MutationRevoked(_) if life.phase == Phase::Revoked => {}
        Event::MutationRevoked(_) if open && life.rows.iter().all(|row| *row == RowState::Pending) => {
            life.phase = Phase::Revoked;
            life.not_before_us = None;
        }
        Event::MutationAttempted(attempted) if open => {
            life.attempts = life.attempts.max(attempted.attempt);
            life.phase = Phase::Attempted;
            life.not_before_us = None;
            life.maybe_sent = true;
        }
        Event::MutationAttempted(attempted) if attempted.attempt <= life.attempts => {}
        Event::MutationDeferred(deferred) if open => {
            life.attempts = life.attempts.max(deferred.attempt);
            life.phase = Phase::Deferred;
            life.not_before_us = Some(deferred.not_before_us);
            life.maybe_sent |= deferred.failure.outcome != crate::Outcome::NotApplied;
            life.failure = Some(deferred.failure.clone());
        }
        Event::MutationDeferred(deferred) if deferred.attempt <= life.attempts => {}
        Event::MutationApplied(applied) => {
            for row in &applied.rows {
                outcome(life, row.row, RowState::Applied(row.key.clone()), &illegal)?;
            }
            finish_attempt(life, applied.attempt, applied.keep_claims);
        }
        Event::MutationRejected(rejected) => {
            for row in &rejected.rows {
                outcome(life, *row, RowState::Rejected, &illegal)?;
            }
            fail(life, &rejected.failure);
            finish_attempt(life, rejected.attempt, rejected.keep_claims);
        }
        Event::MutationInDoubt(in_doubt) => {
            for row in &in_doubt.rows {
                outcome(life, *row, RowState::InDoubt, &illegal)?;
            }
            fail(life, &in_doubt.failure);
            finish_attempt(life, in_doubt.attempt, true);
        }
        Event::MutationSettled(settled) if !open => settle(life, settled)?,
        Event::MutationDead(_) if life.phase == Phase::Dead => {}
        Event::MutationDead(dead) if open || life.phase == Phase::InDoubt => {
            life.phase = Phase::Dead;
            life.failure = Some(dead.failure.clone());
            life.not_before_us = None;
        }
        Event::MutationRedriven(_) => {}
        Event::MutationOutlivedRollback(_) => life.outlived_rollback = true,
        _ => return Err(illegal),
    }
    Ok(())
}

/// One row's outcome: only a row without one may get one; the same again is a repeat.
fn outcome(life: &mut Lifecycle, row: u32, to: RowState, illegal: &Illegal) -> Result<(), Illegal> {
    let open = !life.phase.is_finished();
    let state = life.state_mut(row)?;
    if *state == to {
        return Ok(());
    }
    if !open || *state != RowState::Pending {
        return Err(illegal.clone());
    }
    *state = to;
    Ok(())
}

/// The reason of an open mutation's latest failure; a finished one keeps the reason of its verdict.
fn fail(life: &mut Lifecycle, failure: &Failure) {
    if !life.phase.is_finished() {
        life.failure = Some(failure.clone());
    }
}

fn finish_attempt(life: &mut Lifecycle, attempt: u32, keep_claims: bool) {
    if life.phase.is_finished() {
        return;
    }
    life.attempts = life.attempts.max(attempt);
    life.keep_claims |= keep_claims;
    life.settle_phase();
}

/// Rows that were in doubt get their outcome; others stay.
fn settle(life: &mut Lifecycle, settled: &crate::MutationSettled) -> Result<(), Illegal> {
    let was_in_doubt = life.phase == Phase::InDoubt;
    for row in &settled.applied {
        let key = settled.rows.iter().find(|seen| seen.row == *row).map(|seen| seen.key.clone()).unwrap_or_default();
        let state = life.state_mut(*row)?;
        if *state == RowState::InDoubt {
            *state = RowState::Applied(key);
        }
    }
    for row in &settled.not_applied {
        let state = life.state_mut(*row)?;
        if *state == RowState::InDoubt {
            *state = RowState::Rejected;
        }
    }
    life.settled = true;
    if was_in_doubt {
        life.settle_phase();
    }
    Ok(())
}
