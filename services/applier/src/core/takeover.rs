//! What a new owner learns from the log about a mutation that a predecessor may have begun.

use std::sync::Arc;

use upwrite_connectors::Idempotency;
use upwrite_event_log::Moment;
use upwrite_events::{Lifecycle, MutationRequested, Outcome, OwnerId, Phase, RowState};

use super::job::Job;
use super::pieces::Piece;
use super::row::RowJob;

/// Whether a predecessor may have sent rows that have no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PriorSend {
    NotSent,
    PossiblySent,
}

/// Judges a lifecycle as it stood just before our own marker. `orderly`: the partition had no owner there, so the last
/// owner had said that nothing of it was in flight.
pub(crate) fn prior_send(life: &Lifecycle, orderly: bool, announces_attempts: bool) -> PriorSend {
    // An owner defers with `NotApplied` only if every attempt so far is known not to have been applied.
    let deferred_clean = life.phase == Phase::Deferred
        && life.failure.as_ref().is_some_and(|failure| failure.outcome == Outcome::NotApplied);
    let clean = if orderly {
        deferred_clean || !life.maybe_sent
    } else {
        // Where every call is announced, no announcement proves that there was none.
        announces_attempts && (deferred_clean || life.phase == Phase::Requested)
    };
    if clean { PriorSend::NotSent } else { PriorSend::PossiblySent }
}

/// Whether calls of this kind are announced by `MutationAttempted`.
pub(crate) fn announces(idempotency: Idempotency) -> bool {
    matches!(idempotency, Idempotency::Probe | Idempotency::None)
}

/// What a job starts from.
pub(crate) struct Origin<'a> {
    pub(crate) life: &'a Lifecycle,
    pub(crate) prior_send: PriorSend,
    pub(crate) now: Moment,
    /// The next attempt is not before this (as the log says, or now).
    pub(crate) not_before: Moment,
    /// Until when what predecessors sent can take effect.
    pub(crate) late_until: Moment,
}

impl Job {
    /// A job for a mutation as it stands in the log.
    pub(crate) fn new(
        owner: OwnerId,
        request: Arc<MutationRequested>,
        pieces: Vec<Piece>,
        deadline: Moment,
        origin: &Origin<'_>,
    ) -> Self {
        let life = origin.life;
        let mut states = life.rows.clone();
        states.resize(request.rows.len(), RowState::Pending);
        let finished_by_others = life.phase.is_finished();
        let row = |state: &RowState| match (origin.prior_send, state) {
            (PriorSend::PossiblySent, RowState::Pending) => {
                RowJob::taken_over(origin.now, origin.not_before, origin.late_until)
            }
            // Only for when its claims may go.
            (_, RowState::Applied(_) | RowState::InDoubt) if finished_by_others || life.keep_claims => {
                RowJob::taken_over(origin.now, origin.not_before, origin.late_until)
            }
            _ => RowJob::fresh(origin.not_before),
        };
        // A part that ended badly before goes on to end the rest.
        let ended_badly = states.iter().any(|state| matches!(state, RowState::Rejected | RowState::InDoubt));
        Self {
            mutation: request.mutation,
            owner,
            pieces,
            deadline,
            revoke: life.revocation_requested,
            rows: states.iter().map(row).collect(),
            concluded: vec![None; states.len()],
            revoked: matches!(life.phase, Phase::Revoked | Phase::Voided | Phase::Dead) && !life.keep_claims,
            stop: if ended_badly { life.failure.clone() } else { None },
            attempts: life.attempts,
            // Until it is found out, an orderly end must not hide it: the next owner takes the log's word.
            unrecorded: origin.prior_send == PriorSend::PossiblySent && states.contains(&RowState::Pending),
            keep_claims: life.keep_claims,
            states,
            request,
        }
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::{
        ErrorClass, Event, Failure, MutationAttempted, MutationDeferred, MutationId, MutationVoided, PartitionFold,
        PartitionTaken, Position,
    };
    use uuid::Uuid;

    use super::*;

    const MUTATION: MutationId = MutationId(Uuid::from_u128(1));
    const OWNER: OwnerId = OwnerId(Uuid::from_u128(2));

    fn folded(events: &[Event]) -> Lifecycle {
        let request = crate::testing::request(MUTATION, 1);
        let mut fold = PartitionFold::default();
        let marker = Event::PartitionTaken(PartitionTaken { owner: OWNER, process: String::new(), lease_ms: 1 });
        for (at, event) in (0..).zip([&marker, &Event::MutationRequested(request)].into_iter().chain(events)) {
            fold.apply(Position(at), event).unwrap();
        }
        fold.get(MUTATION).unwrap().clone()
    }

    fn deferred(outcome: Outcome) -> Event {
        let failure = Failure::new(ErrorClass::Locked, outcome, "55P03", "locked");
        Event::MutationDeferred(MutationDeferred {
            mutation: MUTATION,
            owner: OWNER,
            attempt: 1,
            not_before_us: 0,
            failure,
        })
    }

    fn attempted() -> Event {
        let (mutation, owner) = (MUTATION, OWNER);
        Event::MutationAttempted(MutationAttempted { mutation, owner, attempt: 1, rows: vec![0], attempted_at_us: 0 })
    }

    #[test]
    fn whoever_crashed_may_have_sent() {
        assert_eq!(prior_send(&folded(&[]), false, false), PriorSend::PossiblySent);
        assert_eq!(prior_send(&folded(&[deferred(Outcome::NotApplied)]), false, false), PriorSend::PossiblySent);
    }

    #[test]
    fn without_an_announcement_there_was_no_call() {
        assert_eq!(prior_send(&folded(&[]), false, true), PriorSend::NotSent);
        assert_eq!(prior_send(&folded(&[attempted()]), false, true), PriorSend::PossiblySent);
        assert_eq!(prior_send(&folded(&[attempted(), deferred(Outcome::NotApplied)]), false, true), PriorSend::NotSent);
        assert_eq!(
            prior_send(&folded(&[attempted(), deferred(Outcome::Unknown)]), false, true),
            PriorSend::PossiblySent
        );
    }

    #[test]
    fn what_a_predecessor_may_have_sent_is_news_before_the_partition_is_given_back() {
        // It was put off, known not to be applied, and sent again by an owner that crashed.
        let life = folded(&[deferred(Outcome::NotApplied)]);
        let job = |prior_send| {
            let now = Moment(std::time::Duration::ZERO);
            let origin = Origin { life: &life, prior_send, now, not_before: now, late_until: now };
            let request = Arc::new(crate::testing::request(MUTATION, 1));
            Job::new(OWNER, request, Vec::new(), now, &origin)
        };
        assert!(!job(PriorSend::NotSent).is_unrecorded());
        let mut doubtful = job(PriorSend::PossiblySent);
        assert!(doubtful.is_unrecorded());
        let recorded = [deferred(Outcome::NotApplied), doubtful.deferred(0)];
        assert_eq!(prior_send(&folded(&recorded), true, false), PriorSend::PossiblySent);
    }

    #[test]
    fn an_orderly_end_leaves_nothing_in_flight() {
        assert_eq!(prior_send(&folded(&[]), true, false), PriorSend::NotSent);
        assert_eq!(prior_send(&folded(&[deferred(Outcome::NotApplied)]), true, false), PriorSend::NotSent);
        assert_eq!(prior_send(&folded(&[deferred(Outcome::Unknown)]), true, false), PriorSend::PossiblySent);
        let void = Event::MutationVoided(MutationVoided { mutation: MUTATION, reason: String::new() });
        assert_eq!(
            prior_send(&folded(&[void]), true, false),
            PriorSend::NotSent,
            "a void after the request changes nothing"
        );
    }
}
