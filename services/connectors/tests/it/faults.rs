//! Each fault of the vocabulary: what the connector makes of it, and what really happened upstream.

use std::time::Duration;

use upwrite_connectors::{CallRow, Connector, RetryRule};
use upwrite_events::{ErrorClass, Op, Outcome};
use upwrite_sandbox::{Fault, Then};

use crate::harness::{World, applied, failed, insert, update};

const SECOND: Duration = Duration::from_secs(1);

fn rows(count: usize) -> Vec<CallRow> {
    (0..count).map(|n| insert(&[("last_name", &format!("Fault {n}"))])).collect()
}

/// One row goes by Composite, three by Collections: the same must be true of both.
#[tokio::test]
async fn every_fault_has_its_outcome() {
    let backoff = RetryRule::Backoff;
    let after = |seconds| RetryRule::After(Duration::from_secs(seconds));
    let cases = [
        (Fault::LoseAnswer, ErrorClass::ServerError, Outcome::Unknown, backoff, 1, None),
        (Fault::Reset, ErrorClass::ServerError, Outcome::Unknown, backoff, 0, None),
        (
            Fault::ServerError { status: 500, applied: true },
            ErrorClass::ServerError,
            Outcome::Unknown,
            backoff,
            1,
            None,
        ),
        (
            Fault::ServerError { status: 500, applied: false },
            ErrorClass::ServerError,
            Outcome::Unknown,
            backoff,
            0,
            None,
        ),
        (Fault::HtmlBody { status: 502, applied: true }, ErrorClass::ServerError, Outcome::Unknown, backoff, 1, None),
        (Fault::HtmlBody { status: 503, applied: false }, ErrorClass::ServerError, Outcome::Unknown, backoff, 0, None),
        (Fault::HtmlBody { status: 200, applied: true }, ErrorClass::ServerError, Outcome::Unknown, backoff, 1, None),
        (Fault::Slow { ms: 1_500 }, ErrorClass::Timeout, Outcome::Unknown, backoff, 1, None),
        (Fault::OverQuota { daily: false }, ErrorClass::RateLimited, Outcome::NotApplied, after(1), 0, Some(1)),
        (Fault::OverQuota { daily: true }, ErrorClass::RateLimited, Outcome::NotApplied, after(60), 0, Some(60)),
        (Fault::Limit429 { retry_after_s: 7 }, ErrorClass::RateLimited, Outcome::NotApplied, after(7), 0, Some(7)),
    ];
    for count in [1, 3] {
        for (fault, class, outcome, retry, effects, pause) in cases.clone() {
            // One each: a pause that upstream asks for would keep the next ones from being sent.
            let world = World::impatient(SECOND).await;
            world.fault("create", fault.clone());
            let rows = rows(count);
            let report = world.call("contact", Op::Insert, &rows, false).await;
            let paused = world.budget.level().paused.as_secs_f64().ceil();
            assert_eq!(paused, pause.map_or(0.0, f64::from), "{fault:?}");
            for (result, row) in report.rows.iter().zip(&rows) {
                let error = failed(result);
                assert_eq!(
                    (error.failure.class, error.failure.outcome, error.retry),
                    (class, outcome, retry),
                    "{fault:?}"
                );
                let unknown = outcome == Outcome::Unknown;
                assert_eq!(error.failure.sqlstate == "40003", unknown, "{fault:?}");
                // The slow one runs to its end whether or not the client stays.
                let arrived = world
                    .sandbox
                    .wait_until(5 * SECOND, |sandbox| {
                        let records = sandbox.records("Contact", true);
                        let key = row.idempotency_key.as_str();
                        records.iter().filter(|record| record["UpwriteKey__c"] == key).count() == effects
                    })
                    .await;
                assert!(arrived, "{fault:?} with {count} rows: {} records", world.carrying("Contact", row));
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_some_rows_is_theirs_alone() {
    let world = World::start().await;
    let reject = |code: &str, rows| Fault::Reject {
        status: 400,
        code: Some(code.to_owned()),
        message: "by order".to_owned(),
        fields: Vec::new(),
        rows,
    };
    world.fault("create", reject("UNABLE_TO_LOCK_ROW", Some(vec![1])));
    let report = world.call("contact", Op::Insert, &rows(3), false).await;
    applied(&report.rows[0]);
    applied(&report.rows[2]);
    assert_eq!(failed(&report.rows[1]).retry, RetryRule::Backoff);

    // A whole call that is refused for what one row says: each is to be tried alone, unless they belong together.
    for (atomic, retry) in [(false, RetryRule::Alone), (true, RetryRule::Never)] {
        world.fault("create", reject("JSON_PARSER_ERROR", None));
        let report = world.call("contact", Op::Insert, &rows(3), atomic).await;
        for row in &report.rows {
            assert_eq!((failed(row).retry, failed(row).failure.outcome), (retry, Outcome::NotApplied));
        }
    }
    world.fault("create", reject("SERVER_UNAVAILABLE", None));
    let report = world.call("contact", Op::Insert, &rows(1), false).await;
    assert_eq!(failed(&report.rows[0]).failure.sqlstate, "HV00N");
}

#[tokio::test]
async fn a_failing_read_back_takes_nothing_back() {
    let world = World::start().await;
    for fault in [
        Fault::HtmlBody { status: 502, applied: false },
        Fault::Reset,
        Fault::ServerError { status: 500, applied: false },
    ] {
        world.fault("retrieve", fault);
        let rows = rows(2);
        let report = world.call("contact", Op::Insert, &rows, true).await;
        for (result, row) in report.rows.iter().zip(&rows) {
            let (key, image, version) = applied(result);
            assert_eq!((key.len(), image, version), (18, None, None));
            assert_eq!(world.carrying("Contact", row), 1);
        }
    }
}

#[tokio::test]
async fn a_request_that_is_held_and_then_dropped_is_unknown() {
    let world = World::impatient(10 * SECOND).await;
    let contact = world.contact("Held").await;
    world.fault("update", Fault::Hold { applied: false });
    let row = update(&contact, &[("title", "late")]);
    let call = world.call("contact", Op::Update, std::slice::from_ref(&row), false);
    let release = async {
        assert_eq!(world.sandbox.wait_held(1, 5 * SECOND).await.len(), 1);
        world.sandbox.release(None, Then::Drop);
    };
    let (report, ()) = tokio::join!(call, release);
    assert_eq!(failed(&report.rows[0]).failure.outcome, Outcome::Unknown);
}

#[tokio::test]
async fn reads_fail_without_a_verdict_and_may_be_tried_again() {
    let world = World::start().await;
    for (fault, sqlstate) in [
        (Fault::HtmlBody { status: 502, applied: false }, "HV000"),
        (Fault::HtmlBody { status: 200, applied: false }, "HV000"),
        (Fault::Reset, "HV000"),
    ] {
        world.fault("query", fault.clone());
        let error = world.connector.page(world.table("contact"), None).await.unwrap_err();
        assert_eq!(error.failure.sqlstate, sqlstate, "{fault:?}");
        assert_ne!(error.retry, RetryRule::Never, "{fault:?}");
    }
    assert!(world.connector.page(world.table("contact"), None).await.is_ok());
    world.fault("query", Fault::Limit429 { retry_after_s: 2 });
    let error = world.connector.page(world.table("contact"), None).await.unwrap_err();
    assert_eq!((error.failure.sqlstate.as_str(), error.retry), ("53400", RetryRule::After(2 * SECOND)));
    assert!(world.budget.level().paused > SECOND, "a limit met by a read rests the budget that writes use");
}
