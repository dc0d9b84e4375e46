//! The transition table: what each event makes of a mutation in each state.

use crate::{Event, Failure, Lifecycle, MutationId, Phase, Position, RowState};

/// What an event did to the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The mutation's state changed.
    Changed(MutationId),
    /// Nothing new: a repeat, or what came too late to count (a void after the request).
    Repeat(MutationId),
    /// From an owner that has lost the partition: a hint to the present owner, never a verdict.
    Evidence(MutationId),
    /// The partition has a new owner, or none.
    Owner,
    /// The event is not about a mutation.
    Other,
}

/// An event that cannot be. It goes to dead letters and leaves the fold as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{event} of a mutation that this partition does not know")]
    UnknownMutation { event: &'static str },
    #[error("{event} cannot follow in state {}", state.as_str())]
    InState { event: &'static str, state: Phase },
    #[error("the mutation has no row {0}")]
    NoSuchRow(u32),
    #[error("a request without rows")]
    NoRows,
}

/// The first event of a mutation: whichever of request and void comes first counts.
pub(crate) fn begin(position: Position, event: &Event) -> Result<Lifecycle, IllegalTransition> {
    match event {
        Event::MutationRequested(request) if request.rows.is_empty() => Err(IllegalTransition::NoRows),
        Event::MutationRequested(request) => Ok(Lifecycle::new(Phase::Requested, position, request.rows.len())),
        Event::MutationVoided(_) => Ok(Lifecycle::new(Phase::Voided, position, 0)),
        other => Err(IllegalTransition::UnknownMutation { event: other.name() }),
    }
}

/// The transition table.
pub(crate) fn step(life: &mut Lifecycle, event: &Event) -> Result<(), IllegalTransition> {
    let illegal = IllegalTransition::InState { event: event.name(), state: life.phase };
    let open = !life.phase.is_finished();
    match event {
        // The first of the two counted; the other changes nothing.
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
        Event::MutationRevoked(_)
        | Event::MutationAttempted(_)
        | Event::MutationDeferred(_)
        | Event::MutationSettled(_)
        | Event::MutationDead(_)
        | Event::PartitionTaken(_)
        | Event::PartitionReleased(_)
        | Event::RecordsObserved(_) => return Err(illegal),
    }
    Ok(())
}

/// One row's outcome: only a row without one may get one; the same again is a repeat.
fn outcome(life: &mut Lifecycle, row: u32, to: RowState, illegal: &IllegalTransition) -> Result<(), IllegalTransition> {
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
    life.conclude();
}

/// Rows that were in doubt get their outcome; others stay.
fn settle(life: &mut Lifecycle, settled: &crate::MutationSettled) -> Result<(), IllegalTransition> {
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
        life.conclude();
    }
    Ok(())
}
