//! One mutation on its way: what is known of it, and what calls, look-ups and the log add to that.

use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::{RetryRule, UpstreamError};
use upwrite_event_log::Moment;
use upwrite_events::{ErrorClass, Failure, MutationId, MutationRequested, OwnerId, RowState};

use super::pieces::Piece;
use super::row::{Conclusion, Look, RowJob, Seen};

/// What one row of an answered call came to.
#[derive(Debug, Clone)]
pub(crate) enum RowOutcome {
    Applied(Seen),
    Failed(UpstreamError),
}

/// A mutation that is not released yet.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) mutation: MutationId,
    pub(crate) owner: OwnerId,
    pub(crate) request: Arc<MutationRequested>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) deadline: Moment,
    /// The client wants it withdrawn.
    pub(crate) revoke: bool,
    pub(super) rows: Vec<RowJob>,
    pub(super) states: Vec<RowState>,
    pub(super) concluded: Vec<Option<Conclusion>>,
    pub(super) revoked: bool,
    /// The failure because of which nothing more of this mutation is sent.
    pub(super) stop: Option<Failure>,
    pub(super) attempts: u32,
    /// Sent since the last failure in the log.
    pub(super) unrecorded: bool,
    pub(super) keep_claims: bool,
}

impl Job {
    pub(crate) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// The number of the next attempt.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    pub(crate) fn states(&self) -> &[RowState] {
        &self.states
    }

    /// The piece that a row belongs to.
    pub(crate) fn piece_of(&self, row: u32) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.rows.contains(&row))
    }

    /// Whether the row may travel with other mutations' rows.
    pub(crate) fn packs(&self) -> bool {
        self.rows.len() == 1 && self.rows.iter().all(|row| !row.alone)
    }

    /// How often upstream has failed this mutation in a row; for delays.
    pub(crate) fn failures(&self) -> u32 {
        self.rows.iter().map(|row| row.sends().saturating_add(row.failed_looks())).max().unwrap_or(0)
    }

    /// A call with these rows is being made.
    pub(crate) fn sent(&mut self, rows: &[u32]) {
        self.attempts = self.next_attempt();
        self.unrecorded = true;
        for row in rows {
            self.rows[*row as usize].sent();
        }
    }

    /// It was not made after all.
    pub(crate) fn not_sent(&mut self, rows: &[u32]) {
        for row in rows {
            self.rows[*row as usize].not_sent();
        }
    }

    /// The call with these rows was answered, or not. `begun` and `ended` are its own; `late_until`: until when it can
    /// still take effect if its answer was lost; `delay` before the next attempt.
    pub(crate) fn answered(&mut self, rows: &[u32], answers: Vec<RowOutcome>, begun: Moment, times: Times) {
        let atomic =
            rows.len() > 1 && rows.first().and_then(|row| self.piece_of(*row)).is_some_and(|piece| piece.atomic);
        let answers = if atomic { all_or_none(answers) } else { answers };
        for (row, answer) in rows.iter().zip(answers) {
            let at = *row as usize;
            match answer {
                RowOutcome::Applied(seen) => self.concluded[at] = Some(self.rows[at].applied(seen, begun)),
                RowOutcome::Failed(error) => self.rows[at].failed(&error, times.now, times.late_until, times.delay),
            }
        }
    }

    /// A look-up that began at `begun` found this.
    pub(crate) fn looked_up(&mut self, rows: &[u32], looks: Vec<Look>, begun: Moment) {
        for (row, look) in rows.iter().zip(looks) {
            self.rows[*row as usize].looked(begun, look);
        }
    }

    pub(crate) fn look_failed(&mut self, rows: &[u32], error: &UpstreamError, now: Moment, delay: Duration) {
        for row in rows {
            self.rows[*row as usize].look_failed(error, now, delay);
        }
    }

    /// What [`super::JobStep::Record`] gave is in the log.
    pub(crate) fn recorded(&mut self) {
        if self.concluded.iter().all(Option::is_none) {
            self.revoked = true;
            self.states.fill(RowState::Rejected);
        }
        for (state, conclusion) in self.states.iter_mut().zip(&mut self.concluded) {
            match conclusion.take() {
                None => continue,
                Some(Conclusion::Applied { seen, keep_claims }) => {
                    self.keep_claims |= keep_claims;
                    *state = RowState::Applied(seen.key);
                }
                Some(Conclusion::Rejected(_)) => *state = RowState::Rejected,
                Some(Conclusion::InDoubt(_)) => *state = RowState::InDoubt,
            }
        }
        self.unrecorded =
            self.rows.iter().zip(&self.states).any(|(row, state)| row.is_lost() && *state == RowState::Pending);
    }

    /// When claims may go: `None` if they went with the verdict.
    pub(super) fn settle_at(&self) -> Option<Moment> {
        let in_doubt = self.states.contains(&RowState::InDoubt);
        let latest = || self.rows.iter().filter_map(RowJob::late_until).max();
        (!self.revoked && (self.keep_claims || in_doubt)).then(|| latest().unwrap_or(Moment(Duration::ZERO)))
    }

    /// The latest failure that upstream gave.
    pub(super) fn last_failure(&self) -> Option<&Failure> {
        self.rows.iter().rev().find_map(RowJob::last_failure)
    }
}

/// When what was answered, for [`Job::answered`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now: Moment,
    pub(crate) late_until: Moment,
    pub(crate) delay: Duration,
}

/// One failure of an all-or-none call is the failure of all its rows: the one that is not mere collateral. An unknown
/// outcome comes before everything, a final refusal before one that may pass.
fn all_or_none(answers: Vec<RowOutcome>) -> Vec<RowOutcome> {
    let rank = |error: &UpstreamError| {
        let collateral = error.failure.class == ErrorClass::Collateral || error.retry == RetryRule::Alone;
        (error.failure.outcome == upwrite_events::Outcome::NotApplied, collateral, error.retry != RetryRule::Never)
    };
    let root = answers
        .iter()
        .filter_map(|answer| match answer {
            RowOutcome::Failed(error) => Some(error),
            RowOutcome::Applied(_) => None,
        })
        .min_by_key(|error| rank(error))
        .cloned();
    let Some(mut root) = root else { return answers };
    if root.retry == RetryRule::Alone {
        root.retry = RetryRule::Backoff;
    }
    let share = |answer| match answer {
        RowOutcome::Failed(_) => RowOutcome::Failed(root.clone()),
        applied => applied,
    };
    answers.into_iter().map(share).collect()
}
