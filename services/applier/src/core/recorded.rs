//! What is known of a mutation → the facts for the log.

use upwrite_events::{
    AppliedRow, ErrorClass, Event, Failure, MutationApplied, MutationAttempted, MutationDeferred, MutationInDoubt,
    MutationRejected, MutationRevoked, Outcome,
};

use super::failures;
use super::job::Job;
use super::row::Conclusion;

/// The outcomes of a job's concluded rows: applied, then rejected, then in doubt, so that the failure that stands at
/// the end is the one that decides the verdict.
pub(super) fn outcomes(job: &Job) -> Vec<Event> {
    let (mut applied, mut rejected, mut in_doubt) = (Vec::new(), Vec::new(), Vec::new());
    let (mut keep, mut refusal, mut refusal_is_own, mut doubt) = (false, None, false, None);
    for (row, conclusion) in (0u32..).zip(&job.concluded) {
        match conclusion {
            None => {}
            Some(Conclusion::Applied { seen, keep_claims }) => {
                keep |= keep_claims;
                applied.push(AppliedRow {
                    row,
                    key: seen.key.clone(),
                    image: seen.image.clone(),
                    vendor_version: seen.vendor_version.clone(),
                    seen: seen.interval,
                });
            }
            Some(Conclusion::Rejected(failure)) => {
                rejected.push(row);
                // What upstream said of a row comes before what follows from it for others.
                let own = job.rows[row as usize].last_failure() == Some(failure);
                if refusal.is_none() || own && !refusal_is_own {
                    (refusal, refusal_is_own) = (Some(failure.clone()), own);
                }
            }
            Some(Conclusion::InDoubt(failure)) => {
                in_doubt.push(row);
                doubt = Some(failure.clone());
            }
        }
    }
    let (mutation, owner, attempt) = (job.mutation, job.owner, job.attempts);
    let mut events = Vec::new();
    if !applied.is_empty() {
        let applied = MutationApplied { mutation, owner, attempt, rows: applied, keep_claims: keep };
        events.push(Event::MutationApplied(applied));
    }
    if let Some(failure) = refusal {
        let rejected = MutationRejected { mutation, owner, attempt, rows: rejected, failure, keep_claims: false };
        events.push(Event::MutationRejected(rejected));
    }
    if let Some(failure) = doubt {
        events.push(Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt, rows: in_doubt, failure }));
    }
    events
}

pub(super) fn revoked(job: &Job) -> Event {
    Event::MutationRevoked(MutationRevoked { mutation: job.mutation, owner: job.owner })
}

impl Job {
    /// The fact that the next attempt waits. Its failure's outcome speaks of the mutation as a whole: `NotApplied`
    /// only if every attempt of ours and of our predecessors is known not to have been applied.
    pub(crate) fn deferred(&mut self, not_before_us: i64) -> Event {
        let lost = self.rows.iter().any(super::row::RowJob::is_lost);
        let mut failure = match self.last_failure() {
            Some(last) => last.clone(),
            None if lost => failures::unknown_outcome(self.mutation, None),
            None => Failure::new(ErrorClass::Unavailable, Outcome::NotApplied, "HV00N", "not sent yet"),
        };
        failure.outcome = if lost { Outcome::Unknown } else { Outcome::NotApplied };
        self.unrecorded = false;
        let (mutation, owner, attempt) = (self.mutation, self.owner, self.attempts);
        Event::MutationDeferred(MutationDeferred { mutation, owner, attempt, not_before_us, failure })
    }

    /// Whether some row has no outcome in the log yet.
    pub(crate) fn is_open(&self) -> bool {
        self.states.contains(&upwrite_events::RowState::Pending)
    }

    /// Whether a wait is news to the log.
    pub(crate) fn is_unrecorded(&self) -> bool {
        self.unrecorded
    }

    pub(crate) fn attempted(&self, rows: &[u32], attempted_at_us: i64) -> Event {
        Event::MutationAttempted(MutationAttempted {
            mutation: self.mutation,
            owner: self.owner,
            attempt: self.next_attempt(),
            rows: rows.to_vec(),
            attempted_at_us,
        })
    }
}
