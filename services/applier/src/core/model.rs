//! For all sequences of answers: nothing is resent blindly, and every verdict is true. One row, one upstream that may
//! refuse, lose an answer before or after the change was made, or make it late; checked against what really happened.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use upwrite_connectors::{Idempotency, RetryRule, UpstreamError};
use upwrite_event_log::Moment;
use upwrite_events::{ErrorClass, Event, Failure, Interval, MutationId, Op, Outcome, OwnerId, TableName};
use uuid::Uuid;

use super::row::Look;
use super::{Job, JobStep, Limits, Origin, PriorSend, RowOutcome, Seen, Times};
use crate::testing;

const LATE: Duration = Duration::from_secs(20);
const CALL: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_secs(2);
const NOW: Interval = Interval { begun_us: 0, ended_us: 0 };

/// What upstream does with one attempt.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Refused,
    Busy,
    LostUnmade,
    LostMade,
    /// Made that many seconds after it was sent, the answer lost.
    LostLate(u8),
}

#[derive(Debug, Clone)]
struct Plan {
    idempotency: Idempotency,
    fates: Vec<Fate>,
    looks_fail: Vec<bool>,
    /// The client gives up before that step.
    revoke_at: Option<usize>,
    deadline_s: u64,
    /// A predecessor may have sent it, and did so with this fate.
    predecessor: Option<Fate>,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Done),
        Just(Fate::Refused),
        Just(Fate::Busy),
        Just(Fate::LostUnmade),
        Just(Fate::LostMade),
        (2u8..20).prop_map(Fate::LostLate),
    ]
}

fn plans() -> impl Strategy<Value = Plan> {
    let idempotency = prop_oneof![
        Just(Idempotency::UpsertKey),
        Just(Idempotency::ClientId),
        Just(Idempotency::Natural),
        Just(Idempotency::Probe),
        Just(Idempotency::None),
    ];
    let predecessor = proptest::option::of(prop_oneof![
        Just(Fate::LostUnmade),
        Just(Fate::LostMade),
        (2u8..20).prop_map(Fate::LostLate)
    ]);
    (
        idempotency,
        proptest::collection::vec(fates(), 1..8),
        proptest::collection::vec(any::<bool>(), 0..4),
        proptest::option::of(0usize..12),
        prop_oneof![Just(5u64), Just(60), Just(600)],
        predecessor,
    )
        .prop_map(|(idempotency, fates, looks_fail, revoke_at, deadline_s, predecessor)| Plan {
            idempotency,
            fates,
            looks_fail,
            revoke_at,
            deadline_s,
            predecessor,
        })
}

/// Upstream, and what was really done.
struct World {
    unique: bool,
    /// When the change was, or will be, made.
    made: Vec<Moment>,
}

impl World {
    /// Tries to make the change at `at`; a unique key lets only the first one through.
    fn make(&mut self, at: Moment) -> bool {
        if self.unique && !self.made.is_empty() {
            let first = self.made[0].min(at);
            self.made[0] = first;
            return first == at;
        }
        self.made.push(at);
        true
    }

    fn shows(&self, at: Moment) -> bool {
        self.made.iter().any(|made| *made <= at)
    }
}

fn failed(class: ErrorClass, outcome: Outcome, retry: RetryRule) -> RowOutcome {
    RowOutcome::Failed(UpstreamError { failure: Failure::new(class, outcome, "XX000", "as planned"), retry })
}

fn seen() -> Seen {
    Seen { key: "1".into(), image: None, vendor_version: None, interval: NOW }
}

/// The answer to an attempt that begins at `at`.
fn attempt(world: &mut World, fate: Fate, at: Moment) -> RowOutcome {
    let lost = || failed(ErrorClass::Timeout, Outcome::Unknown, RetryRule::Backoff);
    if world.unique && world.shows(at) && !matches!(fate, Fate::LostUnmade | Fate::LostMade | Fate::LostLate(_)) {
        return failed(ErrorClass::Unique, Outcome::NotApplied, RetryRule::Never);
    }
    match fate {
        Fate::Done => {
            // An earlier attempt that would have come later is refused by the key now.
            world.make(at);
            RowOutcome::Applied(seen())
        }
        Fate::Refused => failed(ErrorClass::Check, Outcome::NotApplied, RetryRule::Never),
        Fate::Busy => failed(ErrorClass::Locked, Outcome::NotApplied, RetryRule::Backoff),
        Fate::LostUnmade => lost(),
        Fate::LostMade => {
            world.make(at);
            lost()
        }
        Fate::LostLate(seconds) => {
            world.make(at + Duration::from_secs(u64::from(seconds)));
            lost()
        }
    }
}

fn job(plan: &Plan, now: Moment) -> Job {
    let mutation = MutationId(Uuid::from_u128(9));
    let op = if plan.idempotency == Idempotency::Natural { Op::Update } else { Op::Insert };
    let piece = super::pieces::Piece {
        rows: 0..1,
        table: TableName::new("sf", "contact"),
        op,
        atomic: false,
        idempotency: plan.idempotency,
    };
    let request = Arc::new(testing::request(mutation, 1));
    let life = testing::requested(mutation, 1);
    let prior_send = if plan.predecessor.is_some() { PriorSend::PossiblySent } else { PriorSend::NotSent };
    let origin = Origin { life: &life, prior_send, now, not_before: now, late_until: now + LATE };
    let deadline = now + Duration::from_secs(plan.deadline_s);
    Job::new(OwnerId(Uuid::nil()), request, vec![piece], deadline, &origin)
}

/// What the log holds.
#[derive(Debug, PartialEq)]
enum Told {
    Applied { kept: bool },
    Refused,
    InDoubt,
}

struct Run {
    told: Option<Told>,
    told_at: Moment,
    settled_at: Option<Moment>,
}

/// Follows the stepper to the end; checks every send on the way.
fn run(plan: &Plan, world: &mut World) -> Run {
    let mut now = Moment(Duration::from_secs(1000));
    if let Some(fate) = plan.predecessor {
        attempt(world, fate, now);
    }
    let mut job = job(plan, now);
    let (mut fates, mut looks) = (plan.fates.iter(), plan.looks_fail.iter());
    let (mut told, mut told_at) = (None, now);
    // Whether the latest word on the row allows sending.
    let mut may_send = plan.predecessor.is_none();
    for step in 0..500 {
        job.revoke |= plan.revoke_at.is_some_and(|at| at <= step);
        match job.next(now, Limits { max_sends: 20 }) {
            JobStep::Send(rows) => {
                assert_eq!(rows, [0]);
                assert!(may_send, "sent again without having looked");
                assert!(!job.revoke, "sent although it is to be withdrawn");
                assert_eq!(told, None, "sent after the verdict");
                job.sent(&rows);
                let answer = attempt(world, fates.next().copied().unwrap_or(Fate::Done), now);
                may_send = matches!(&answer, RowOutcome::Failed(error) if error.failure.outcome == Outcome::NotApplied);
                let begun = now;
                now = now + CALL;
                job.answered(&rows, vec![answer], begun, Times { now, late_until: begun + LATE, delay: DELAY });
            }
            JobStep::LookUp(rows) => {
                let begun = now;
                now = now + CALL;
                if looks.next().copied().unwrap_or(false) {
                    let failure = Failure::new(ErrorClass::Unavailable, Outcome::Unknown, "HV00N", "no look");
                    let error = UpstreamError { failure, retry: RetryRule::Backoff };
                    job.look_failed(&rows, &error, now, DELAY);
                } else {
                    let look = if world.shows(begun) { Look::Done(seen()) } else { Look::NotDone };
                    may_send = true;
                    job.looked_up(&rows, vec![look], begun);
                }
            }
            JobStep::Wait(until) => {
                assert!(until > now, "waits for what is past");
                now = until;
            }
            JobStep::Record(events) => {
                assert_eq!(told, None, "two verdicts");
                told = Some(match &events[..] {
                    [Event::MutationApplied(applied)] => Told::Applied { kept: applied.keep_claims },
                    [Event::MutationRejected(_) | Event::MutationRevoked(_)] => Told::Refused,
                    [Event::MutationInDoubt(_)] => Told::InDoubt,
                    other => panic!("{other:?}"),
                });
                told_at = now;
                job.recorded();
            }
            JobStep::Finished(settled_at) => return Run { told, told_at, settled_at },
        }
    }
    panic!("does not end: {plan:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn never_resends_blindly_and_every_verdict_is_true(plan in plans()) {
        let unique = matches!(plan.idempotency, Idempotency::UpsertKey | Idempotency::ClientId);
        let mut world = World { unique, made: Vec::new() };
        let run = run(&plan, &mut world);
        let late = world.made.iter().any(|made| *made > run.told_at);
        match run.told.expect("a verdict") {
            Told::Applied { kept } => {
                prop_assert!(!world.made.is_empty(), "told applied, never made");
                prop_assert!(kept || !late, "claims went while an attempt could still land");
            }
            Told::Refused => prop_assert!(world.made.is_empty(), "told not applied, but made"),
            Told::InDoubt => prop_assert!(run.settled_at.is_some(), "in doubt without an end"),
        }
        if let Some(settled_at) = run.settled_at {
            prop_assert!(world.made.iter().all(|made| *made <= settled_at), "settled before the last effect");
        }
        if plan.idempotency != Idempotency::Natural {
            prop_assert!(world.made.len() <= 1, "made {} times", world.made.len());
        }
    }
}
