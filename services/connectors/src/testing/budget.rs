//! The rate budget, as it is taken and as it rests.

use std::time::Duration;

use upwrite_events::{ErrorClass, Op, Outcome, Row};

use super::subject::{Bench, Subject, Target, Trouble, call_row, failed, next};
use crate::RetryRule;

const PENALTY_S: u32 = 3_600;
const PENALTY: Duration = Duration::from_secs(PENALTY_S as u64);

/// Every HTTP request takes one token, and nothing else does.
pub async fn each_request_takes_one_token(subject: &dyn Subject) {
    let budget = subject.budget();
    let counted = || (budget.taken(), u64::try_from(subject.requests()).unwrap_or(0));
    assert_eq!(budget.taken(), 0, "a new subject has asked nobody");
    let asked_before = counted().1;
    let check = |what: &str| {
        let (taken, asked) = counted();
        assert_eq!(taken, asked - asked_before, "after {what}");
    };
    let bench = Bench::new(subject).await;
    check("describing");
    let most = bench.connector.capabilities(&bench.table).max_batch;
    let rows: Vec<_> = (0..most.min(3)).map(|_| bench.new_row()).collect();
    bench.call(Op::Insert, &rows).await;
    check("creating many");
    let key = bench.create().await;
    check("creating one");
    bench.call(Op::Update, &[call_row(next(), key.clone(), subject.change())]).await;
    check("updating");
    bench.read(&[key.clone(), subject.unknown_key()]).await;
    check("reading");
    bench.connector.page(&bench.table, None).await.unwrap();
    check("a page");
    bench.find_created(&rows[..1], 0).await;
    check("looking up");
    bench.call(Op::Delete, &[call_row(next(), key, Row::new())]).await;
    check("deleting");
}

/// A 429 rests the budget that all share, met by a write or by a read; and while it rests no write is sent late.
pub async fn a_limit_rests_the_budget_whoever_meets_it(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let key = bench.create().await;
    for target in [Target::Read, Target::Page, Target::Create] {
        assert_eq!(subject.budget().level().paused, Duration::ZERO);
        // Shorter for reads, so that what comes next need not wait for long.
        let seconds = if target == Target::Create { PENALTY_S } else { 1 };
        subject.trouble(target, Trouble::Limited { retry_after_s: seconds });
        let error = match target {
            Target::Create | Target::Update => {
                let created = subject.created();
                let report = bench.call(Op::Insert, &[bench.new_row()]).await;
                assert_eq!(subject.created(), created);
                failed(&report.rows[0]).clone()
            }
            Target::Read => bench.connector.read(&bench.table, std::slice::from_ref(&key)).await.unwrap_err(),
            Target::Page => bench.connector.page(&bench.table, None).await.unwrap_err(),
        };
        assert_eq!((error.failure.class, error.failure.sqlstate.as_str()), (ErrorClass::RateLimited, "53400"));
        assert_eq!(error.failure.outcome, Outcome::NotApplied);
        assert_eq!(error.retry, RetryRule::After(Duration::from_secs(u64::from(seconds))));
        let paused = subject.budget().level().paused;
        assert!(!paused.is_zero() && paused <= Duration::from_secs(u64::from(seconds)), "{target:?}: {paused:?}");
        if seconds == 1 {
            tokio::time::sleep(paused).await;
        }
    }
    let requests = subject.requests();
    let report = bench.call(Op::Insert, &[bench.new_row()]).await;
    let error = failed(&report.rows[0]);
    assert_eq!((error.failure.class, error.failure.outcome), (ErrorClass::RateLimited, Outcome::NotApplied));
    assert!(matches!(error.retry, RetryRule::After(wait) if wait <= PENALTY), "{:?}", error.retry);
    assert_eq!(subject.requests(), requests, "while the budget rests nothing is sent");
}
