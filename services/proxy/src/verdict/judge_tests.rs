use upwrite_events::{
    AppliedRow, ErrorClass, Event, Failure, Interval, MutationApplied, MutationId, MutationInDoubt, MutationRejected,
    MutationRequested, MutationRevoked, MutationVoided, Op, OwnerId, PartitionFold, PartitionTaken, Position,
    RowChange, TableName,
};
use uuid::Uuid;

use super::*;

const M: MutationId = MutationId(Uuid::from_u128(7));
const O: OwnerId = OwnerId(Uuid::from_u128(1));

fn about(ack: Ack) -> About {
    About { mutation: M, table: TableName::new("salesforce", "contact"), ack }
}

fn failure(outcome: Outcome) -> Failure {
    Failure {
        detail: Some("Key (email)=(a@b.c) already exists.".into()),
        table: Some("contact".into()),
        constraint: Some("contact_email_key".into()),
        upstream_code: Some("DUPLICATE_VALUE".into()),
        http_status: Some(400),
        ..Failure::new(ErrorClass::Unique, outcome, "23505", "duplicate key value violates unique constraint")
    }
}

fn applied(rows: &[u32]) -> Event {
    let row = |row: &u32| AppliedRow {
        row: *row,
        key: format!("003{row}"),
        image: None,
        vendor_version: None,
        seen: Interval { begun_us: 0, ended_us: 0 },
    };
    let rows = rows.iter().map(row).collect();
    Event::MutationApplied(MutationApplied { mutation: M, owner: O, attempt: 1, rows, keep_claims: false })
}

fn rejected(rows: &[u32], outcome: Outcome) -> Event {
    let failure = failure(outcome);
    Event::MutationRejected(MutationRejected {
        mutation: M,
        owner: O,
        attempt: 1,
        rows: rows.to_vec(),
        failure,
        keep_claims: false,
    })
}

/// The state of a mutation of two rows after these events.
fn status(events: &[Event], finished: bool) -> Status {
    let row = || RowChange {
        table: TableName::new("salesforce", "contact"),
        op: Op::Insert,
        key: "k".into(),
        version: None,
        changed: upwrite_events::Row::new(),
        old: upwrite_events::Row::new(),
    };
    let request = MutationRequested::new(M, vec![row(), row()]);
    let taken = PartitionTaken { owner: O, process: String::new(), lease_ms: 1 };
    let mut fold = PartitionFold::default();
    let first = [Event::PartitionTaken(taken), Event::MutationRequested(request)];
    for event in first.iter().chain(events) {
        fold.apply(Position(0), event).unwrap();
    }
    Status { lifecycle: fold.get(M).unwrap().clone(), finished }
}

fn error(verdict: Option<Verdict>) -> PgError {
    match verdict {
        Some(Verdict::Failure(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn success_waits_for_what_the_session_asked_for() {
    let both = [applied(&[0, 1])];
    assert_eq!(judge(&status(&[], false), &about(Ack::Reconciled), None), None);
    assert_eq!(judge(&status(&both, false), &about(Ack::Reconciled), None), None);
    let keys = vec!["0030".to_owned(), "0031".to_owned()];
    let success = |reconciled| Some(Verdict::Success(Success { keys: keys.clone(), reconciled, warning: None }));
    assert_eq!(judge(&status(&both, true), &about(Ack::Reconciled), None), success(true));
    assert_eq!(judge(&status(&both, false), &about(Ack::Applied), None), success(false));
}

#[test]
fn applied_but_not_shown_is_success_with_a_warning_at_the_timeout() {
    match judge_late(&status(&[applied(&[0, 1])], false), &about(Ack::Reconciled), Cause::HoldTimeout) {
        Some(Verdict::Success(Success { reconciled: false, warning: Some(warning), .. })) => {
            assert!(warning.message.contains("salesforce.contact"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(judge_late(&status(&[], false), &about(Ack::Reconciled), Cause::Cancel), None);
}

#[test]
fn a_refusal_keeps_the_fields_that_orms_read() {
    let error = error(judge(&status(&[rejected(&[0, 1], Outcome::NotApplied)], false), &about(Ack::Reconciled), None));
    assert_eq!(error.sqlstate, "23505");
    assert_eq!((error.table.as_deref(), error.constraint.as_deref()), (Some("contact"), Some("contact_email_key")));
    let detail = error.detail.as_deref().unwrap();
    assert!(detail.starts_with("Key (email)=(a@b.c) already exists.\n"));
    let tail = format!("upstream=salesforce code=DUPLICATE_VALUE http=400 mutation={M} outcome=not_applied");
    assert!(detail.ends_with(&tail), "{detail}");
}

#[test]
fn what_was_applied_in_part_is_never_a_definite_failure() {
    let events = [applied(&[0]), rejected(&[1], Outcome::NotApplied)];
    assert_eq!(judge(&status(&events, false), &about(Ack::Reconciled), None), None);
    let error = error(judge(&status(&events, true), &about(Ack::Reconciled), None));
    assert_eq!(error.sqlstate, "40003");
    assert!(error.message.starts_with("1 of 2 rows"), "{}", error.message);
    assert!(error.detail.as_deref().unwrap().contains("Applied: 0030."));
    assert!(error.hint.as_deref().unwrap().contains(&format!("upwrite.await('{M}', '10s')")));
}

#[test]
fn what_nobody_can_know_is_told_so() {
    let doubt =
        MutationInDoubt { mutation: M, owner: O, attempt: 1, rows: vec![0, 1], failure: failure(Outcome::Unknown) };
    for events in [vec![Event::MutationInDoubt(doubt)], vec![rejected(&[0, 1], Outcome::Unknown)]] {
        let error = error(judge(&status(&events, false), &about(Ack::Reconciled), None));
        assert_eq!(error.sqlstate, "40003");
        assert!(error.detail.as_deref().unwrap().contains("outcome=unknown"));
        assert!(error.hint.as_deref().unwrap().contains("upwrite.await"));
    }
}

#[test]
fn a_withdrawal_is_told_by_its_cause() {
    let revoked = status(&[Event::MutationRevoked(MutationRevoked { mutation: M, owner: O })], true);
    for (cause, words) in [
        (Cause::Cancel, "user request"),
        (Cause::StatementTimeout, "statement timeout"),
        (Cause::HoldTimeout, "hold_timeout"),
    ] {
        let error = error(judge(&revoked, &about(Ack::Reconciled), Some(cause)));
        assert_eq!(error.sqlstate, "57014");
        assert!(error.message.ends_with(words), "{}", error.message);
        assert!(error.detail.as_deref().unwrap().contains("not applied"));
    }
}

#[test]
fn a_void_says_that_nothing_was_applied() {
    let mut fold = PartitionFold::default();
    fold.apply(Position(0), &Event::MutationVoided(MutationVoided { mutation: M, reason: String::new() })).unwrap();
    let status = Status { lifecycle: fold.get(M).unwrap().clone(), finished: true };
    assert_eq!(error(judge(&status, &about(Ack::Reconciled), None)).sqlstate, "58030");
}
