//! One event of each kind, with every optional field set and fixed values: what the golden records hold.

use upwrite_events::*;
use uuid::Uuid;

fn mutation() -> MutationId {
    MutationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

fn owner() -> OwnerId {
    OwnerId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002))
}

fn row(columns: &[(&str, Option<&str>)]) -> Row {
    columns.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
}

fn seen() -> Interval {
    Interval { begun_us: 1_767_225_600_000_000, ended_us: 1_767_225_600_250_000 }
}

fn contact() -> TableName {
    TableName::new("salesforce", "contact")
}

fn failure() -> Failure {
    Failure {
        detail: Some("detail".to_owned()),
        hint: Some("hint".to_owned()),
        schema: Some("salesforce".to_owned()),
        table: Some("contact".to_owned()),
        column: Some("last_name".to_owned()),
        constraint: Some("contact_email_key".to_owned()),
        upstream_code: Some("REQUIRED_FIELD_MISSING".to_owned()),
        http_status: Some(400),
        request_id: Some("4f2a".to_owned()),
        ..Failure::new(ErrorClass::NotNull, Outcome::NotApplied, "23502", "Required fields are missing: [LastName]")
    }
}

fn applied() -> AppliedRow {
    AppliedRow {
        row: 1,
        key: "003000000000001AAA".to_owned(),
        image: Some(row(&[("id", Some("003000000000001AAA")), ("last_name", Some("漢字")), ("email", None)])),
        vendor_version: Some("2026-01-01T00:00:00.000Z".to_owned()),
        seen: seen(),
    }
}

fn requested() -> MutationRequested {
    let change = |op, key: &str, version, changed, old| RowChange {
        table: contact(),
        op,
        key: key.to_owned(),
        version,
        changed,
        old,
    };
    MutationRequested {
        mutation: mutation(),
        requested_at_us: 1_767_225_600_000_000,
        database: "app".to_owned(),
        user: "alice".to_owned(),
        application_name: "psql".to_owned(),
        ack: Ack::Applied,
        in_block: true,
        client_key: Some("order-17".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        redrive_of: Some(MutationId(Uuid::from_u128(3))),
        rows: vec![
            change(Op::Insert, "pending:1", None, row(&[("last_name", Some("Ada")), ("a", None)]), row(&[])),
            change(Op::Update, "003A", Some(7), row(&[("n", Some("2"))]), row(&[("n", Some("1")), ("z", None)])),
            change(Op::Delete, "003B", Some(i64::MAX), row(&[]), row(&[("n", Some(""))])),
        ],
    }
}

/// In the order of the enum.
pub(crate) fn every_event() -> Vec<Event> {
    let (mutation, owner, failure) = (mutation(), owner(), failure());
    vec![
        Event::MutationRequested(requested()),
        Event::MutationVoided(MutationVoided { mutation, reason: "produce failed".to_owned() }),
        Event::RevocationRequested(RevocationRequested { mutation, reason: "hold_timeout".to_owned() }),
        Event::MutationRevoked(MutationRevoked { mutation, owner }),
        Event::PartitionTaken(PartitionTaken { owner, process: "host:4711".to_owned(), lease_ms: u32::MAX }),
        Event::PartitionReleased(PartitionReleased { owner }),
        Event::MutationAttempted(MutationAttempted {
            mutation,
            owner,
            attempt: 1,
            rows: vec![0, 2],
            attempted_at_us: 1_767_225_600_000_001,
        }),
        Event::MutationApplied(MutationApplied {
            mutation,
            owner,
            attempt: 2,
            rows: vec![applied()],
            keep_claims: true,
        }),
        Event::MutationRejected(MutationRejected {
            mutation,
            owner,
            attempt: 3,
            rows: vec![0],
            failure: failure.clone(),
            keep_claims: false,
        }),
        Event::MutationDeferred(MutationDeferred {
            mutation,
            owner,
            attempt: 4,
            not_before_us: -1,
            failure: failure.clone(),
        }),
        Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt: 5, rows: vec![], failure: failure.clone() }),
        Event::MutationSettled(MutationSettled {
            mutation,
            owner,
            applied: vec![1],
            not_applied: vec![0, 2],
            rows: vec![applied()],
        }),
        Event::MutationDead(MutationDead { mutation, owner, failure }),
        Event::MutationRedriven(MutationRedriven {
            mutation,
            successor: MutationId(Uuid::from_u128(4)),
            operator: "ops".to_owned(),
        }),
        Event::MutationOutlivedRollback(MutationOutlivedRollback { mutation, reason: "rollback".to_owned() }),
        Event::RecordsObserved(RecordsObserved {
            table: contact(),
            kind: "backfill".to_owned(),
            seen: seen(),
            rows: vec![
                ObservedRow { key: "1".to_owned(), image: Some(row(&[("n", None)])), vendor_version: None },
                ObservedRow { key: "2".to_owned(), image: None, vendor_version: Some("v".to_owned()) },
            ],
        }),
    ]
}
