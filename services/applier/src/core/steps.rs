//! Unit tests of the stepper: one rule each.

use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::{Idempotency, RetryRule, UpstreamError};
use upwrite_event_log::Moment;
use upwrite_events::{ErrorClass, Event, Failure, Interval, MutationId, Op, Outcome, OwnerId, RowState, TableName};
use uuid::Uuid;

use super::pieces::Piece;
use super::row::Look;
use super::{Job, JobStep, Limits, Origin, PriorSend, RowOutcome, Seen, Times};
use crate::testing;

const MUTATION: MutationId = MutationId(Uuid::from_u128(5));
const LIMITS: Limits = Limits { max_sends: 5 };
const LATE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// A job of `rows` rows in pieces of `max`, fresh at second 0, with a deadline at 1000.
fn job(rows: u32, max: u32, atomic: bool, op: Op, idempotency: Idempotency) -> Job {
    let table = TableName::new("sf", "contact");
    let pieces = (0..rows).step_by(max as usize).map(|start| Piece {
        rows: start..(start + max).min(rows),
        table: table.clone(),
        op,
        atomic,
        idempotency,
    });
    let life = testing::requested(MUTATION, rows as usize);
    let origin =
        Origin { life: &life, prior_send: PriorSend::NotSent, now: at(0), not_before: at(0), late_until: at(0) };
    let request = Arc::new(testing::request(MUTATION, rows as usize));
    Job::new(OwnerId(Uuid::nil()), request, pieces.collect(), at(1000), &origin)
}

fn insert() -> Job {
    job(1, 200, false, Op::Insert, Idempotency::UpsertKey)
}

fn applied() -> RowOutcome {
    RowOutcome::Applied(seen("real"))
}

fn seen(key: &str) -> Seen {
    Seen { key: key.into(), image: None, vendor_version: None, interval: Interval { begun_us: 0, ended_us: 0 } }
}

fn error(class: ErrorClass, outcome: Outcome, retry: RetryRule) -> UpstreamError {
    UpstreamError { failure: Failure::new(class, outcome, "XX000", "no"), retry }
}

fn refused(class: ErrorClass) -> RowOutcome {
    RowOutcome::Failed(error(class, Outcome::NotApplied, RetryRule::Never))
}

fn busy() -> RowOutcome {
    RowOutcome::Failed(error(ErrorClass::Locked, Outcome::NotApplied, RetryRule::Backoff))
}

fn lost() -> RowOutcome {
    RowOutcome::Failed(error(ErrorClass::Timeout, Outcome::Unknown, RetryRule::Backoff))
}

/// Sends what the job wants sent at `second`, answered a second later.
fn send(job: &mut Job, second: u64, answers: Vec<RowOutcome>) {
    let JobStep::Send(rows) = job.next(at(second), LIMITS) else { panic!("{:?}", job.next(at(second), LIMITS)) };
    assert_eq!(rows.len(), answers.len());
    job.sent(&rows);
    let times = Times { now: at(second + 1), late_until: at(second) + LATE, delay: Duration::from_secs(2) };
    job.answered(&rows, answers, at(second), times);
}

fn look(job: &mut Job, second: u64, look: Look) {
    let JobStep::LookUp(rows) = job.next(at(second), LIMITS) else { panic!("{:?}", job.next(at(second), LIMITS)) };
    job.looked_up(&rows, vec![look; rows.len()], at(second));
}

fn record(job: &mut Job, second: u64) -> Vec<Event> {
    let JobStep::Record(events) = job.next(at(second), LIMITS) else { panic!("{:?}", job.next(at(second), LIMITS)) };
    job.recorded();
    events
}

#[test]
fn b7_a_duplicate_after_a_lost_answer_is_our_own_first_attempt() {
    let mut job = insert();
    send(&mut job, 0, vec![lost()]);
    look(&mut job, 1, Look::NotDone);
    send(&mut job, 3, vec![refused(ErrorClass::Unique)]);
    look(&mut job, 4, Look::Done(seen("real")));
    let events = record(&mut job, 4);
    assert!(matches!(&events[..], [Event::MutationApplied(applied)] if applied.keep_claims), "{events:?}");
    assert_eq!(job.next(at(4), LIMITS), JobStep::Finished(Some(at(0) + LATE)));
}

#[test]
fn b7_a_refusal_after_a_lost_answer_waits_until_nothing_can_land() {
    for class in [ErrorClass::Check, ErrorClass::NotFound, ErrorClass::Stale] {
        let mut job = job(1, 200, false, Op::Update, Idempotency::Natural);
        send(&mut job, 0, vec![lost()]);
        look(&mut job, 1, Look::NotDone);
        send(&mut job, 3, vec![refused(class)]);
        look(&mut job, 4, Look::NotDone);
        assert_eq!(job.next(at(5), LIMITS), JobStep::Wait(at(0) + LATE), "{class:?}");
        look(&mut job, 60, Look::NotDone);
        let events = record(&mut job, 60);
        assert!(matches!(&events[..], [Event::MutationRejected(no)] if no.failure.class == class), "{events:?}");
        assert_eq!(job.next(at(60), LIMITS), JobStep::Finished(None));
    }
}

#[test]
fn b1_claims_outlive_the_verdict_until_no_attempt_can_land() {
    let mut job = job(1, 200, false, Op::Update, Idempotency::Natural);
    send(&mut job, 0, vec![lost()]);
    look(&mut job, 1, Look::NotDone);
    send(&mut job, 3, vec![applied()]);
    let events = record(&mut job, 4);
    assert!(matches!(&events[..], [Event::MutationApplied(applied)] if applied.keep_claims), "{events:?}");
    assert_eq!(job.next(at(4), LIMITS), JobStep::Finished(Some(at(0) + LATE)));
}

#[test]
fn b2_what_is_in_doubt_keeps_its_claims_too() {
    let mut job = job(1, 200, false, Op::Update, Idempotency::Natural);
    send(&mut job, 0, vec![lost()]);
    look(&mut job, 1, Look::Unclear(Some(seen("real"))));
    let events = record(&mut job, 1);
    assert!(matches!(&events[..], [Event::MutationInDoubt(doubt)] if doubt.failure.sqlstate == "40003"), "{events:?}");
    assert_eq!(job.next(at(1), LIMITS), JobStep::Finished(Some(at(0) + LATE)));
}

#[test]
fn b5_no_answer_to_a_revocation_while_something_may_land() {
    let mut job = insert();
    send(&mut job, 0, vec![lost()]);
    job.revoke = true;
    look(&mut job, 1, Look::NotDone);
    assert_eq!(job.next(at(2), LIMITS), JobStep::Wait(at(0) + LATE), "neither sent again nor withdrawn");
    look(&mut job, 60, Look::NotDone);
    assert!(matches!(&record(&mut job, 60)[..], [Event::MutationRevoked(_)]));
    assert_eq!(job.next(at(60), LIMITS), JobStep::Finished(None));
}

#[test]
fn a_revocation_is_answered_if_nothing_was_sent_or_all_is_known() {
    let mut queued = insert();
    queued.revoke = true;
    assert!(matches!(&record(&mut queued, 0)[..], [Event::MutationRevoked(_)]));
    let mut retried = insert();
    send(&mut retried, 0, vec![busy()]);
    retried.revoke = true;
    assert!(matches!(&record(&mut retried, 1)[..], [Event::MutationRevoked(_)]), "rather than retry");
}

#[test]
fn a_revocation_does_not_hide_an_outcome() {
    let mut job = job(300, 200, true, Op::Insert, Idempotency::UpsertKey);
    send(&mut job, 0, vec![applied(); 200]);
    job.revoke = true;
    assert!(matches!(&record(&mut job, 1)[..], [Event::MutationApplied(_)]));
    send(&mut job, 1, vec![applied(); 100]);
    assert!(matches!(&record(&mut job, 2)[..], [Event::MutationApplied(_)]));
}

#[test]
fn b17_a_piece_goes_only_after_the_outcome_of_the_one_before_is_recorded() {
    let mut job = job(500, 200, true, Op::Insert, Idempotency::UpsertKey);
    send(&mut job, 0, vec![applied(); 200]);
    let events = record(&mut job, 1);
    assert!(matches!(&events[..], [Event::MutationApplied(applied)] if applied.rows.len() == 200));
    assert_eq!(job.next(at(1), LIMITS), JobStep::Send((200..400).collect()));
}

#[test]
fn a_refused_piece_ends_the_rest_and_leaves_what_was_applied() {
    let mut job = job(500, 200, true, Op::Insert, Idempotency::UpsertKey);
    send(&mut job, 0, vec![applied(); 200]);
    record(&mut job, 1);
    let collateral = || RowOutcome::Failed(error(ErrorClass::Collateral, Outcome::NotApplied, RetryRule::Alone));
    let mut answers = vec![collateral(); 200];
    answers[17] = refused(ErrorClass::NotNull);
    send(&mut job, 1, answers);
    let events = record(&mut job, 2);
    let [Event::MutationRejected(rejected)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(rejected.rows, (200..500).collect::<Vec<_>>());
    assert_eq!(rejected.failure.class, ErrorClass::NotNull);
    assert_eq!(job.next(at(2), LIMITS), JobStep::Finished(None));
    assert!(matches!(job.states()[0], RowState::Applied(_)));
}

#[test]
fn one_passing_failure_of_an_atomic_call_sends_all_of_it_again() {
    let mut job = job(3, 200, true, Op::Insert, Idempotency::UpsertKey);
    let collateral = RowOutcome::Failed(error(ErrorClass::Collateral, Outcome::NotApplied, RetryRule::Alone));
    send(&mut job, 0, vec![collateral.clone(), busy(), collateral]);
    assert_eq!(job.next(at(1), LIMITS), JobStep::Wait(at(3)));
    assert_eq!(job.next(at(3), LIMITS), JobStep::Send(vec![0, 1, 2]));
}

#[test]
fn rows_of_a_call_that_is_not_atomic_end_each_on_its_own() {
    let mut job = job(3, 200, false, Op::Update, Idempotency::Natural);
    send(&mut job, 0, vec![applied(), lost(), applied()]);
    let events = record(&mut job, 1);
    assert!(matches!(&events[..], [Event::MutationApplied(applied)] if applied.rows.len() == 2), "{events:?}");
    look(&mut job, 1, Look::Done(seen("real")));
    assert!(matches!(&record(&mut job, 1)[..], [Event::MutationApplied(applied)] if applied.keep_claims));
}

#[test]
fn collateral_of_another_mutation_goes_alone_at_once() {
    let mut job = insert();
    assert!(job.packs());
    send(&mut job, 0, vec![RowOutcome::Failed(error(ErrorClass::Collateral, Outcome::NotApplied, RetryRule::Alone))]);
    assert_eq!(job.next(at(1), LIMITS), JobStep::Send(vec![0]));
    assert!(!job.packs());
}

#[test]
fn a_penalty_is_waited_for_and_deferral_says_that_nothing_was_applied() {
    let mut job = insert();
    let penalty = error(ErrorClass::RateLimited, Outcome::NotApplied, RetryRule::After(Duration::from_secs(30)));
    send(&mut job, 0, vec![RowOutcome::Failed(penalty)]);
    assert_eq!(job.next(at(1), LIMITS), JobStep::Wait(at(31)));
    assert!(job.is_unrecorded());
    let Event::MutationDeferred(deferred) = job.deferred(7) else { panic!() };
    assert_eq!((deferred.failure.outcome, deferred.not_before_us), (Outcome::NotApplied, 7));
    assert!(!job.is_unrecorded());
}

#[test]
fn a_deferral_after_a_lost_answer_says_so() {
    let mut job = job(1, 200, false, Op::Insert, Idempotency::Probe);
    send(&mut job, 0, vec![lost()]);
    look(&mut job, 1, Look::NotDone);
    assert_eq!(job.next(at(2), LIMITS), JobStep::Wait(at(0) + LATE), "absent is no answer yet");
    let Event::MutationDeferred(deferred) = job.deferred(7) else { panic!() };
    assert_eq!(deferred.failure.outcome, Outcome::Unknown);
    look(&mut job, 60, Look::NotDone);
    assert_eq!(job.next(at(60), LIMITS), JobStep::Send(vec![0]));
}

#[test]
fn spent_attempts_end_with_the_failures_own_sqlstate() {
    let mut job = insert();
    let mut second = 0;
    let events = loop {
        match job.next(at(second), LIMITS) {
            JobStep::Send(_) => send(&mut job, second, vec![busy()]),
            JobStep::Wait(until) => second = until.0.as_secs(),
            JobStep::Record(events) => break events,
            other => panic!("{other:?}"),
        }
    };
    let [Event::MutationRejected(rejected)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((rejected.failure.class, rejected.attempt), (ErrorClass::Locked, LIMITS.max_sends));
}

#[test]
fn a_penalty_beyond_the_deadline_is_not_waited_for() {
    let mut job = insert();
    let quota = error(ErrorClass::Quota, Outcome::NotApplied, RetryRule::After(Duration::from_secs(86_400)));
    send(&mut job, 0, vec![RowOutcome::Failed(quota)]);
    assert!(matches!(&record(&mut job, 1)[..], [Event::MutationRejected(no)] if no.failure.class == ErrorClass::Quota));
}

#[test]
fn without_any_means_a_lost_answer_is_in_doubt_at_once() {
    let mut job = job(1, 200, false, Op::Insert, Idempotency::None);
    send(&mut job, 0, vec![lost()]);
    assert!(matches!(&record(&mut job, 1)[..], [Event::MutationInDoubt(_)]));
}

#[test]
fn however_old_a_request_is_it_is_tried_once() {
    let mut job = insert();
    send(&mut job, 5_000, vec![busy()]);
    assert!(matches!(&record(&mut job, 5_001)[..], [Event::MutationRejected(_)]));
}
