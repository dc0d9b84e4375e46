//! Hosts that are away, and hosts that answer nonsense.

use upwrite_events::{ErrorClass, Op, Outcome, Row};

use super::host::{NonsenseHost, unreachable};
use super::subject::{Bench, Subject, call, call_row, failed, next};
use crate::RetryRule;

/// Where connecting fails, no byte was written: nothing was applied, and it may be tried again.
pub async fn an_unreachable_host_has_got_nothing(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let connector = subject.connector_at(&unreachable());
    let report = call(&*connector, &bench.table, Op::Insert, &[bench.new_row()]).await;
    let error = failed(&report.rows[0]);
    assert_eq!((error.failure.class, error.failure.outcome), (ErrorClass::Unavailable, Outcome::NotApplied));
    assert_eq!((error.failure.sqlstate.as_str(), error.retry), ("HV00N", RetryRule::Backoff));
    let error = connector.page(&bench.table, None).await.unwrap_err();
    assert_eq!((error.failure.class, error.retry), (ErrorClass::Unavailable, RetryRule::Backoff));
}

const BODIES: [&str; 12] = [
    "",
    "<html><body>busy</body></html>",
    "{",
    "[",
    "null",
    "{}",
    "[]",
    "[null]",
    "{\"data\":[{}],\"records\":[{}],\"compositeResponse\":[{}]}",
    "{\"id\":{},\"data\":7,\"errors\":\"x\"}",
    "\"\\ud800\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Nothing that a body says, or does not say, makes a connector panic; and no record counts as written by it.
pub async fn no_body_makes_it_panic(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let key = bench.create().await;
    let host = NonsenseHost::start(subject).await;
    let connector = subject.connector_at(&host.base_url);
    for status in [200, 204, 302, 400, 404, 500] {
        for body in BODIES {
            host.say(status, body);
            let update = call_row(next(), key.clone(), subject.change());
            for (op, row) in [(Op::Insert, bench.new_row()), (Op::Update, update)] {
                let report = call(&*connector, &bench.table, op, std::slice::from_ref(&row)).await;
                let outcome = failed(&report.rows[0]).failure.outcome;
                assert!(status >= 300 || outcome == Outcome::Unknown, "{status} {body:?} {op:?}: {outcome:?}");
            }
            let delete = call_row(next(), key.clone(), Row::new());
            call(&*connector, &bench.table, Op::Delete, &[delete]).await;
            let _ = connector.read(&bench.table, std::slice::from_ref(&key)).await;
            let _ = connector.page(&bench.table, None).await;
            let _ = connector.find_created(&bench.table, &[bench.new_row()], 0).await;
            let _ = connector.discover().await;
        }
    }
}
