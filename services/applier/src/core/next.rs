//! A job's rows' steps, put together to what the whole needs next.

use upwrite_event_log::Moment;
use upwrite_events::{Event, RowState};

use super::job::Job;
use super::recorded;
use super::row::{Conclusion, Facts, RowStep};

/// What the whole mutation needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobStep {
    /// Record these facts, in this order, in one append; then call [`Job::recorded`].
    Record(Vec<Event>),
    /// Make one call with these rows, all of one piece.
    Send(Vec<u32>),
    /// Look these rows up, all of one piece.
    LookUp(Vec<u32>),
    Wait(Moment),
    /// Every row has its outcome in the log. `Some`: read back and settle, not before then.
    Finished(Option<Moment>),
}

/// Limits that every step depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_sends: u32,
}

impl Job {
    /// What to do next. Draws the conclusions that can be drawn, so that they are recorded together.
    pub(crate) fn next(&mut self, now: Moment, limits: Limits) -> JobStep {
        let mut steps = self.conclude(now, limits);
        while self.stop.is_none() && self.find_stop() {
            steps = self.conclude(now, limits);
        }
        if self.concluded.iter().any(Option::is_some) {
            return JobStep::Record(recorded::outcomes(self));
        }
        if steps.is_empty() {
            return JobStep::Finished(self.settle_at());
        }
        if steps.iter().all(|(_, step)| *step == RowStep::Revocable) {
            return JobStep::Record(vec![recorded::revoked(self)]);
        }
        self.combine(steps)
    }

    /// Steps of the rows in question; those that end are taken out.
    fn conclude(&mut self, now: Moment, limits: Limits) -> Vec<(u32, RowStep)> {
        let revoke = self.revocable();
        // What is to be withdrawn or ended concerns every row; else one piece goes after another.
        let scope = if revoke || self.stop.is_some() { 0..u32::MAX } else { self.current() };
        let mut steps = Vec::new();
        for index in 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX) {
            let at = index as usize;
            if !scope.contains(&index) || self.states[at] != RowState::Pending || self.concluded[at].is_some() {
                continue;
            }
            let Some(piece) = self.piece_of(index) else { continue };
            let facts = Facts {
                mutation: self.mutation,
                idempotency: piece.idempotency,
                now,
                deadline: self.deadline,
                max_sends: limits.max_sends,
                revoke,
                stop: self.stop.as_ref(),
            };
            match self.rows[at].step(&facts) {
                RowStep::Conclude(conclusion) => self.concluded[at] = Some(*conclusion),
                step => steps.push((index, step)),
            }
        }
        steps
    }

    /// Withdrawing makes sense only while no row has an outcome.
    fn revocable(&self) -> bool {
        self.revoke
            && self.states.iter().all(|state| *state == RowState::Pending)
            && self.concluded.iter().all(Option::is_none)
    }

    /// The rows of the first piece that is not done.
    fn current(&self) -> std::ops::Range<u32> {
        let open = |index: u32| self.states[index as usize] == RowState::Pending;
        self.pieces.iter().map(|piece| piece.rows.clone()).find(|rows| rows.clone().any(open)).unwrap_or(0..0)
    }

    /// A row that ended badly ends what was not sent.
    fn find_stop(&mut self) -> bool {
        self.stop = self.concluded.iter().flatten().find_map(|conclusion| match conclusion {
            Conclusion::Rejected(failure) | Conclusion::InDoubt(failure) => Some(failure.clone()),
            Conclusion::Applied { .. } => None,
        });
        self.stop.is_some()
    }

    /// Look-ups first, then sends, else wait for the earliest.
    fn combine(&self, steps: Vec<(u32, RowStep)>) -> JobStep {
        let first = |wanted: &RowStep| {
            let (row, _) = steps.iter().find(|(_, step)| step == wanted)?;
            let piece = self.piece_of(*row)?;
            let rows =
                steps.iter().filter(|(row, step)| step == wanted && piece.rows.contains(row)).map(|(row, _)| *row);
            Some(rows.collect::<Vec<_>>())
        };
        if let Some(rows) = first(&RowStep::LookUp) {
            return JobStep::LookUp(rows);
        }
        if let Some(mut rows) = first(&RowStep::Send) {
            if let Some(alone) = rows.iter().copied().find(|row| self.rows[*row as usize].alone) {
                rows = vec![alone];
            }
            return JobStep::Send(rows);
        }
        let earliest = steps.iter().filter_map(|(_, step)| match step {
            RowStep::Wait(moment) => Some(*moment),
            _ => None,
        });
        JobStep::Wait(earliest.min().unwrap_or(self.deadline))
    }
}
