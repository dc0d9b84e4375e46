//! Strategies: any event.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use upwrite_events::*;
use uuid::Uuid;

/// Few ids, few rows, few owners: so that events meet.
pub(crate) fn mutation() -> impl Strategy<Value = MutationId> {
    (0..3_u128).prop_map(|id| MutationId(Uuid::from_u128(id)))
}

pub(crate) fn owner() -> impl Strategy<Value = OwnerId> {
    (10..12_u128).prop_map(|id| OwnerId(Uuid::from_u128(id)))
}

/// Any text, mostly short and plain. (Strategies made of regular expressions are several times slower.)
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "a", "\0", "NULL", "漢字"]).prop_map(str::to_owned),
        1 => vec(any::<char>(), 0..6).prop_map(String::from_iter),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["crm", "contact"]).prop_map(str::to_owned)
}

fn rows() -> impl Strategy<Value = Vec<u32>> {
    vec(0..4_u32, 0..4)
}

fn attempt() -> impl Strategy<Value = u32> {
    0..4_u32
}

fn row() -> impl Strategy<Value = Row> {
    btree_map(text(), option::of(text()), 0..4)
}

fn table() -> impl Strategy<Value = TableName> {
    (name(), name()).prop_map(|(source, table)| TableName::new(source, table))
}

fn failure() -> impl Strategy<Value = Failure> {
    let class = prop_oneof![Just(ErrorClass::Check), Just(ErrorClass::Timeout), Just(ErrorClass::Bug)];
    let outcome = prop_oneof![Just(Outcome::NotApplied), Just(Outcome::Applied), Just(Outcome::Unknown)];
    (class, outcome, text(), option::of(text()), option::of(any::<u16>())).prop_map(
        |(class, outcome, message, hint, http_status)| Failure {
            hint,
            http_status,
            ..Failure::new(class, outcome, "XX000", message)
        },
    )
}

fn interval() -> impl Strategy<Value = Interval> {
    any::<(i64, i64)>().prop_map(|(begun_us, ended_us)| Interval { begun_us, ended_us })
}

fn applied_rows() -> impl Strategy<Value = Vec<AppliedRow>> {
    let row = (0..4_u32, name(), option::of(row()), option::of(text()), interval())
        .prop_map(|(row, key, image, vendor_version, seen)| AppliedRow { row, key, image, vendor_version, seen });
    vec(row, 0..4)
}

fn requested() -> impl Strategy<Value = Event> {
    let op = prop_oneof![Just(Op::Insert), Just(Op::Update), Just(Op::Delete)];
    let change = (table(), op, text(), any::<Option<i64>>(), row(), row())
        .prop_map(|(table, op, key, version, changed, old)| RowChange { table, op, key, version, changed, old });
    let ack = prop_oneof![Just(Ack::Reconciled), Just(Ack::Applied), Just(Ack::Accepted)];
    (mutation(), any::<i64>(), text(), ack, any::<bool>(), option::of(text()), vec(change, 0..4)).prop_map(
        |(mutation, requested_at_us, user, ack, in_block, client_key, rows)| {
            let request = MutationRequested::new(mutation, rows).at(requested_at_us).from_client("app", user, "");
            Event::MutationRequested(MutationRequested { ack, in_block, client_key, ..request })
        },
    )
}

/// What clients, proxies and operators say.
fn asked() -> impl Strategy<Value = Event> {
    let reason = || Just("why".to_owned());
    prop_oneof![
        4 => requested(),
        1 => (mutation(), reason())
            .prop_map(|(mutation, reason)| Event::MutationVoided(MutationVoided { mutation, reason })),
        1 => (mutation(), reason())
            .prop_map(|(mutation, reason)| Event::RevocationRequested(RevocationRequested { mutation, reason })),
        1 => (mutation(), reason())
            .prop_map(|(mutation, reason)| Event::MutationOutlivedRollback(MutationOutlivedRollback { mutation, reason })),
        1 => (mutation(), mutation()).prop_map(|(mutation, successor)| {
            Event::MutationRedriven(MutationRedriven { mutation, successor, operator: "ops".to_owned() })
        }),
    ]
}

/// What appliers say.
fn answered() -> impl Strategy<Value = Event> {
    prop_oneof![
        (mutation(), owner()).prop_map(|(mutation, owner)| Event::MutationRevoked(MutationRevoked { mutation, owner })),
        (mutation(), owner(), attempt(), rows()).prop_map(|(mutation, owner, attempt, rows)| {
            Event::MutationAttempted(MutationAttempted { mutation, owner, attempt, rows, attempted_at_us: 5 })
        }),
        (mutation(), owner(), attempt(), applied_rows(), any::<bool>()).prop_map(
            |(mutation, owner, attempt, rows, keep_claims)| {
                Event::MutationApplied(MutationApplied { mutation, owner, attempt, rows, keep_claims })
            }
        ),
        (mutation(), owner(), attempt(), rows(), failure(), any::<bool>()).prop_map(
            |(mutation, owner, attempt, rows, failure, keep_claims)| {
                Event::MutationRejected(MutationRejected { mutation, owner, attempt, rows, failure, keep_claims })
            }
        ),
        (mutation(), owner(), attempt(), failure()).prop_map(|(mutation, owner, attempt, failure)| {
            Event::MutationDeferred(MutationDeferred { mutation, owner, attempt, not_before_us: 9, failure })
        }),
        (mutation(), owner(), attempt(), rows(), failure()).prop_map(|(mutation, owner, attempt, rows, failure)| {
            Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt, rows, failure })
        }),
        (mutation(), owner(), rows(), rows(), applied_rows()).prop_map(
            |(mutation, owner, applied, not_applied, rows)| {
                Event::MutationSettled(MutationSettled { mutation, owner, applied, not_applied, rows })
            }
        ),
        (mutation(), owner(), failure()).prop_map(|(mutation, owner, failure)| Event::MutationDead(MutationDead {
            mutation,
            owner,
            failure
        })),
    ]
}

/// What does not speak of one mutation.
fn other() -> impl Strategy<Value = Event> {
    let observed = (text(), option::of(row()), option::of(text()))
        .prop_map(|(key, image, vendor_version)| ObservedRow { key, image, vendor_version });
    prop_oneof![
        3 => owner().prop_map(|owner| {
            Event::PartitionTaken(PartitionTaken { owner, process: "host:1".to_owned(), lease_ms: 1000 })
        }),
        1 => owner().prop_map(|owner| Event::PartitionReleased(PartitionReleased { owner })),
        1 => (table(), interval(), vec(observed, 0..3)).prop_map(|(table, seen, rows)| {
            Event::RecordsObserved(RecordsObserved { table, kind: "sweep".to_owned(), seen, rows })
        }),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![3 => asked(), 5 => answered(), 1 => other()]
}
