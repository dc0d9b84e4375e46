//! A mutation from the log becomes a job.

use std::sync::Arc;
use std::time::Duration;

use upwrite_event_log::Moment;
use upwrite_events::{Event, Lifecycle, MutationInDoubt, MutationRejected, MutationRequested, OwnerId, TableName};

use super::append::Purpose;
use super::upstream::Table;
use super::{Driver, JobId, Slot, SlotState, Term};
use crate::core::{Job, Origin, PriorSend, announces, no_table, pieces, prior_send, unknown_outcome};

/// What the log says of a mutation that is to be taken in.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) term: Term,
    pub(crate) owner: OwnerId,
    pub(crate) request: Arc<MutationRequested>,
    pub(crate) life: Lifecycle,
    /// As found when the partition was taken over; `None`: requested after that.
    pub(crate) takeover: Option<Takeover>,
}

/// How a partition was taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takeover {
    /// The last owner had released it.
    pub(crate) orderly: bool,
    /// Until when the last owner may have begun calls.
    pub(crate) calls_until: Moment,
}

impl Driver {
    /// Takes a mutation in. Tables that are not known are read again first.
    pub(super) fn take_in(&mut self, intake: Intake) {
        match self.job(&intake) {
            Ok(job) => {
                let id = JobId { term: intake.term, mutation: job.mutation };
                tracing::debug!(mutation = %id.mutation, rows = job.row_count(), "taken in");
                self.slots.insert(id, Slot { job, state: SlotState::Idle, generation: 0 });
                self.advance(id);
            }
            Err(table) => {
                tracing::info!(mutation = %intake.request.mutation, %table, "table not known, reading tables again");
                if self.awaiting_tables.is_empty() {
                    self.read_tables();
                }
                self.awaiting_tables.push(intake);
            }
        }
    }

    fn job(&self, intake: &Intake) -> Result<Job, TableName> {
        let table = |name: &TableName| self.tables.get(name).map(|table: &Arc<Table>| &table.capabilities);
        let pieces = pieces(&intake.request.rows, table)?;
        let now = self.environment.clock.now();
        let life = &intake.life;
        let late_effect = pieces.iter().filter_map(|piece| table(&piece.table)).map(|can| can.late_effect).max();
        let announces_attempts = pieces.iter().all(|piece| announces(piece.idempotency));
        let (sent, late_until) = match intake.takeover {
            None => (PriorSend::NotSent, now),
            Some(takeover) => {
                let sent = prior_send(life, takeover.orderly, announces_attempts);
                (sent, takeover.calls_until + late_effect.unwrap_or_default())
            }
        };
        let origin =
            Origin { life, prior_send: sent, now, not_before: self.moment_of(life.not_before_us, now), late_until };
        let mut deadline = now + self.time_left(intake.request.requested_at_us);
        if sent == PriorSend::PossiblySent {
            // Time enough to find out.
            deadline = deadline.max(late_until + self.environment.config.backoff_max);
        }
        Ok(Job::new(intake.owner, Arc::clone(&intake.request), pieces, deadline, &origin))
    }

    /// A time in the log as a moment here; past ones are now.
    fn moment_of(&self, unix_us: Option<i64>, now: Moment) -> Moment {
        let ahead = unix_us.map_or(0, |at| at.saturating_sub(self.environment.clock.unix_us()));
        now + Duration::from_micros(u64::try_from(ahead).unwrap_or(0))
    }

    fn time_left(&self, requested_at_us: i64) -> Duration {
        let age = self.environment.clock.unix_us().saturating_sub(requested_at_us);
        self.environment.config.deadline.saturating_sub(Duration::from_micros(u64::try_from(age).unwrap_or(0)))
    }

    /// Tables have been read again: what is still not known cannot be sent.
    pub(super) fn take_in_awaiting(&mut self) {
        for intake in std::mem::take(&mut self.awaiting_tables) {
            if let Err(table) = self.job(&intake) {
                self.turn_away(&intake, &table);
            } else {
                self.take_in(intake);
            }
        }
    }

    fn turn_away(&mut self, intake: &Intake, table: &TableName) {
        if intake.life.phase.is_finished() {
            tracing::warn!(mutation = %intake.request.mutation, %table, "cannot be settled: its table is not known here");
            return;
        }
        let (mutation, owner, attempt) = (intake.request.mutation, intake.owner, intake.life.attempts);
        let rows = intake.life.pending().collect();
        let sent = intake
            .takeover
            .is_some_and(|takeover| prior_send(&intake.life, takeover.orderly, false) == PriorSend::PossiblySent);
        let event = if sent {
            let failure = unknown_outcome(mutation, Some(&no_table(table)));
            Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt, rows, failure })
        } else {
            let failure = no_table(table);
            Event::MutationRejected(MutationRejected { mutation, owner, attempt, rows, failure, keep_claims: false })
        };
        self.append(intake.term, vec![event], Purpose::TurnedAway);
    }
}
