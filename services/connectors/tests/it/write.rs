//! Writes that get an answer.

use upwrite_connectors::RetryRule;
use upwrite_events::{ErrorClass, Op, Outcome};
use upwrite_sandbox::EffectOp;

use crate::harness::{World, applied, delete, failed, insert, update, value};

#[tokio::test]
async fn one_row_is_written_and_read_back_in_one_request() {
    let world = World::start().await;
    let before = world.sandbox.requests_after(0).len();
    let row = insert(&[
        ("last_name", "Ünïcode \"quoted\" \\ 漢字"),
        ("birthdate", "1990-02-28"),
        ("last_met__c", "2026-01-31 10:20:30+00"),
        ("languages__c", "{English,French}"),
        ("visits__c", "123456789012"),
        ("do_not_call", "t"),
    ]);
    let report = world.call("contact", Op::Insert, std::slice::from_ref(&row), false).await;
    assert_eq!(world.sandbox.requests_after(0).len(), before + 1);
    let (key, image, version) = applied(&report.rows[0]);
    let image = image.expect("read back");
    assert_eq!((key.len(), value(&image, "id")), (18, Some(key.as_str())));
    for (column, sent) in &row.changed {
        assert_eq!(value(&image, column), sent.as_deref(), "{column}");
    }
    assert_eq!(value(&image, "upwrite_key__c"), Some(row.idempotency_key.as_str()));
    assert!(version.is_some());

    let changed = update(&key, &[("first_name", "Ann")]);
    let mut cleared = changed.clone();
    cleared.changed.insert("birthdate".to_owned(), None);
    let report = world.call("contact", Op::Update, &[cleared], true).await;
    assert_eq!(world.sandbox.requests_after(0).len(), before + 2);
    let (same_key, image, _) = applied(&report.rows[0]);
    let image = image.expect("read back");
    assert_eq!(same_key, key);
    assert_eq!((value(&image, "first_name"), value(&image, "birthdate")), (Some("Ann"), None));
}

#[tokio::test]
async fn two_hundred_rows_are_one_call_and_come_back_in_order() {
    let world = World::start().await;
    let rows: Vec<_> = (0..200).map(|n| insert(&[("last_name", &format!("Row {n}"))])).collect();
    let report = world.call("contact", Op::Insert, &rows, true).await;
    assert_eq!(world.requests("create").len(), 1);
    let keys: Vec<String> = report
        .rows
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let (key, image, _) = applied(row);
            assert_eq!(value(&image.unwrap(), "last_name"), Some(format!("Row {n}").as_str()));
            key
        })
        .collect();
    let updates: Vec<_> = keys.iter().map(|key| update(key, &[("title", "Head")])).collect();
    for row in &world.call("contact", Op::Update, &updates, false).await.rows {
        assert_eq!(value(&applied(row).1.unwrap(), "title"), Some("Head"));
    }
    let deletes: Vec<_> = keys.iter().map(|key| delete(key)).collect();
    for (row, key) in world.call("contact", Op::Delete, &deletes, true).await.rows.iter().zip(&keys) {
        assert_eq!(applied(row), (key.clone(), None, None));
    }
    // Done twice is done once: what is gone is deleted.
    for row in &world.call("contact", Op::Delete, &deletes, false).await.rows {
        applied(row);
    }
    let deleted = world.sandbox.journal_after(0).into_iter().filter(|effect| effect.op == EffectOp::Delete).count();
    assert_eq!(deleted, 200);
}

#[tokio::test]
async fn in_a_packed_call_each_row_has_its_own_verdict() {
    let world = World::start().await;
    let rows = [
        insert(&[("last_name", "Good")]),
        insert(&[("first_name", "No last name")]),
        insert(&[("last_name", &"x".repeat(81))]),
        insert(&[("last_name", "Bad mail"), ("email", "nonsense")]),
        insert(&[("last_name", "No account"), ("account_id", "001zzzzzzzzzzzzAAA")]),
        insert(&[("last_name", "Not sendable"), ("visits__c", "NaN")]),
        insert(&[("last_name", "Good too")]),
    ];
    let report = world.call("contact", Op::Insert, &rows, false).await;
    let states: Vec<Option<&str>> = report
        .rows
        .iter()
        .map(|row| match row {
            upwrite_connectors::RowResult::Applied { .. } => None,
            upwrite_connectors::RowResult::Failed(error) => Some(error.failure.sqlstate.as_str()),
        })
        .collect();
    assert_eq!(states, [None, Some("23502"), Some("22001"), Some("23514"), Some("23503"), Some("22003"), None]);
    assert_eq!(failed(&report.rows[1]).failure.column.as_deref(), Some("last_name"));
    assert_eq!(failed(&report.rows[3]).failure.column.as_deref(), Some("email"));
    for row in [0, 6] {
        assert!(applied(&report.rows[row]).1.is_some(), "read back although others failed");
    }
    let carried: Vec<usize> = rows.iter().map(|row| world.carrying("Contact", row)).collect();
    assert_eq!(carried, [1, 0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn all_or_none_names_the_culprit_and_applies_nothing() {
    let world = World::start().await;
    let effects = world.sandbox.journal_after(0).len();
    for bad in [insert(&[("first_name", "No last name")]), insert(&[("last_name", "x"), ("visits__c", "Infinity")])] {
        let rows = [insert(&[("last_name", "A")]), bad, insert(&[("last_name", "B")])];
        let report = world.call("contact", Op::Insert, &rows, true).await;
        let classes: Vec<ErrorClass> = report.rows.iter().map(|row| failed(row).failure.class).collect();
        assert_eq!((classes[0], classes[2]), (ErrorClass::Collateral, ErrorClass::Collateral));
        assert!(matches!(classes[1], ErrorClass::NotNull | ErrorClass::OutOfRange));
        for row in &report.rows {
            assert_eq!(failed(row).failure.outcome, Outcome::NotApplied);
        }
        assert_eq!(failed(&report.rows[0]).retry, RetryRule::Alone);
    }
    assert_eq!(world.sandbox.journal_after(0).len(), effects);
}

#[tokio::test]
async fn an_atomic_delete_goes_on_without_what_is_gone_already() {
    let world = World::start().await;
    let (a, b, c) = (world.contact("A").await, world.contact("B").await, world.contact("C").await);
    world.sandbox.third_party_delete("Contact", &b).unwrap();
    let report = world.call("contact", Op::Delete, &[delete(&a), delete(&b), delete(&c)], true).await;
    for row in &report.rows {
        applied(row);
    }
    assert!(
        world
            .sandbox
            .records("Contact", false)
            .iter()
            .all(|record| record["Id"] != a.as_str() && record["Id"] != c.as_str())
    );
}

#[tokio::test]
async fn an_update_of_a_row_that_is_gone_is_a_concurrent_delete() {
    let world = World::start().await;
    let (gone, kept) = (world.contact("Gone").await, world.contact("Kept").await);
    world.sandbox.third_party_delete("Contact", &gone).unwrap();
    // One row goes by Composite, two by Collections.
    for rows in [
        vec![update(&gone, &[("title", "x")])],
        vec![update(&gone, &[("title", "x")]), update(&kept, &[("title", "x")])],
    ] {
        let report = world.call("contact", Op::Update, &rows, false).await;
        let failure = &failed(&report.rows[0]).failure;
        assert_eq!((failure.class, failure.sqlstate.as_str()), (ErrorClass::NotFound, "40001"));
        assert_eq!(failure.message, "could not serialize access due to concurrent delete");
    }
    // Here it is the account that is not there.
    let orphan = update(&kept, &[("account_id", "001zzzzzzzzzzzzAAA")]);
    for rows in [vec![orphan.clone()], vec![orphan, update(&kept, &[("title", "y")])]] {
        let report = world.call("contact", Op::Update, &rows, false).await;
        let failure = &failed(&report.rows[0]).failure;
        assert_eq!((failure.sqlstate.as_str(), failure.column.as_deref()), ("23503", Some("account_id")));
        assert!(failure.detail.as_ref().unwrap().starts_with("Key (account_id)=(001zzzzzzzzzzzzAAA) is not present"));
    }
}

/// The key is made for this one row: a duplicate of it is our own earlier attempt, even one that upstream said it had
/// refused (B7).
#[tokio::test]
async fn b7_a_duplicate_of_our_own_key_is_to_be_looked_up() {
    let world = World::start().await;
    let first = insert(&[("last_name", "First")]);
    world.call("contact", Op::Insert, std::slice::from_ref(&first), false).await;
    let report = world.call("contact", Op::Insert, std::slice::from_ref(&first), false).await;
    let failure = &failed(&report.rows[0]).failure;
    assert_eq!((failure.outcome, failure.sqlstate.as_str()), (Outcome::Unknown, "40003"));
    assert_eq!(failure.upstream_code.as_deref(), Some("DUPLICATE_VALUE"));
    let report = world.call("contact", Op::Insert, &[first.clone(), first], true).await;
    assert!(report.rows.iter().any(|row| failed(row).failure.outcome == Outcome::Unknown), "{report:?}");
}

#[tokio::test]
async fn refusals_read_as_postgres_would_say_them() {
    let world = World::start().await;
    let negative =
        insert(&[("name", "x"), ("stage_name", "Prospecting"), ("close_date", "2026-01-31"), ("amount", "-1.00")]);
    let report = world.call("opportunity", Op::Insert, &[negative], false).await;
    assert_eq!(failed(&report.rows[0]).failure.sqlstate, "23514");

    let formula = insert(&[("last_name", "x"), ("account_rating__c", "Hot")]);
    let report = world.call("contact", Op::Insert, &[formula], false).await;
    assert_eq!(failed(&report.rows[0]).failure.sqlstate, "428C9");

    let account = world.sandbox.records("Opportunity", false)[0]["AccountId"].as_str().unwrap().to_owned();
    let report = world.call("account", Op::Delete, &[delete(&account)], false).await;
    let failure = &failed(&report.rows[0]).failure;
    assert_eq!((failure.class, failure.sqlstate.as_str()), (ErrorClass::Restrict, "23503"));

    let contact = world.contact("Locked").await;
    world.sandbox.vendor().lock_rows(&[&contact]);
    let report = world.call("contact", Op::Update, &[update(&contact, &[("title", "x")])], false).await;
    let error = failed(&report.rows[0]);
    assert_eq!((error.failure.sqlstate.as_str(), error.retry), ("55P03", RetryRule::Backoff));
    assert_eq!(error.failure.outcome, Outcome::NotApplied);
}

#[tokio::test]
async fn a_placeholder_is_never_sent() {
    let world = World::start().await;
    let before = world.sandbox.requests_after(0).len();
    let child = insert(&[("last_name", "x"), ("account_id", "pending:1")]);
    for (op, row) in
        [(Op::Insert, child), (Op::Delete, delete("pending:1")), (Op::Update, update("pending:1", &[("title", "x")]))]
    {
        let report = world.call("contact", op, &[row], false).await;
        assert_eq!(failed(&report.rows[0]).failure.sqlstate, "22023");
    }
    assert_eq!(world.sandbox.requests_after(0).len(), before);
}

#[tokio::test]
async fn a_request_carries_the_trace_it_belongs_to() {
    let world = World::start().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let row = insert(&[("last_name", "Lovelace")]);
    let call = world.call("contact", Op::Insert, std::slice::from_ref(&row), false);
    let report = upwrite_connectors::with_traceparent(Some(traceparent.clone()), call).await;
    applied(&report.rows[0]);
    let traced: Vec<_> =
        world.sandbox.requests_after(0).into_iter().filter_map(|request| request.traceparent).collect();
    assert_eq!(traced, [traceparent]);
}
