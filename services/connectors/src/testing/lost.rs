//! Answers that never come.

use upwrite_events::{Op, Outcome};

use super::subject::{Bench, Subject, Target, Trouble, applied, call_row, failed, next, now_us};
use crate::{Idempotency, LookupResult, RowResult};

/// A create whose answer is lost is unknown; by its declared idempotency it is found, or sent again without a second
/// record.
pub async fn a_lost_answer_is_found_and_not_doubled(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let insert = bench.connector.capabilities(&bench.table).insert;
    let (created, since_us) = (subject.created(), now_us());
    let rows = [bench.new_row(), bench.new_row()];
    subject.trouble(Target::Create, Trouble::LostAnswer);
    let report = bench.call(Op::Insert, &rows[..1]).await;
    let failure = &failed(&report.rows[0]).failure;
    assert_eq!((failure.outcome, failure.sqlstate.as_str()), (Outcome::Unknown, "40003"));
    assert_eq!(subject.created(), created + 1, "it took effect");
    if matches!(insert, Idempotency::UpsertKey | Idempotency::ClientId | Idempotency::Probe) {
        let results = bench.find_created(&rows, since_us).await;
        let LookupResult::Present { key, image, .. } = &results[0] else { panic!("{results:?}") };
        bench.shows(image, &rows[0].changed);
        assert!(matches!(&bench.read(std::slice::from_ref(key)).await[0], LookupResult::Present { .. }));
        assert_eq!(results[1], LookupResult::Absent, "this one was never sent");
    }
    if matches!(insert, Idempotency::Probe | Idempotency::None) {
        return;
    }
    let again = bench.call(Op::Insert, &rows[..1]).await;
    assert_eq!(subject.created(), created + 1, "sent again, it is the same record");
    match (insert, &again.rows[0]) {
        (Idempotency::Header, result) => {
            let (key, _) = applied(result);
            let found = bench.read(&[key.to_owned()]).await;
            assert!(matches!(&found[0], LookupResult::Present { .. }), "the first answer, again");
        }
        (_, RowResult::Applied { .. }) => panic!("created twice"),
        (_, RowResult::Failed(error)) => {
            assert_eq!(error.failure.outcome, Outcome::Unknown, "our own record is in the way: it must be looked up");
        }
    }
}

/// Nobody can know whether an update was applied whose answer is lost; a read shows it.
pub async fn a_lost_answer_to_an_update_is_unknown(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let key = bench.create().await;
    let row = call_row(next(), key.clone(), subject.change());
    subject.trouble(Target::Update, Trouble::LostAnswer);
    let report = bench.call(Op::Update, std::slice::from_ref(&row)).await;
    assert_eq!(failed(&report.rows[0]).failure.outcome, Outcome::Unknown);
    let [LookupResult::Present { image, .. }] = &bench.read(&[key]).await[..] else { panic!() };
    bench.shows(image, &row.changed);
}
