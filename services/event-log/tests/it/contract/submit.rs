use futures::future::join_all;
use upwrite_event_log::Submitted;
use upwrite_events::{Event, MutationId, Position};

use crate::harness::Harness;
use crate::sample::{accepted, claim, home, submission};

#[track_caller]
fn claimed(submitted: &Submitted, key: &str, by: MutationId) {
    match submitted {
        Submitted::Claimed { claim, by: holder } => {
            assert_eq!((claim.key.0.as_str(), *holder), (format!("id={key}").as_str(), by));
        }
        other => panic!("not claimed: {other:?}"),
    }
}

pub(crate) async fn accepted_is_claimed_and_in_the_log(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    harness.set_version("b", Some(7)).await;
    let submission = submission(&table, &[("a", None), ("b", Some(7))]);
    let submitted = log.submit(submission.clone()).await.unwrap();
    let partition = home(&log, &table, "a");
    assert_eq!(submitted, Submitted::Accepted { partition, position: Position(0) });
    assert_eq!(harness.claimed().await, 2);
    let records = log.read(partition, Position::START, 10).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].event, Ok(Event::MutationRequested(submission.request)));
}

pub(crate) async fn a_claimed_record_refuses_all_and_leaves_nothing(harness: &impl Harness) {
    let (log, other, table) = (harness.process().await, harness.process().await, harness.table());
    let first = submission(&table, &[("b", None)]);
    accepted(log.submit(first.clone()).await.unwrap());
    for log in [&log, &other] {
        let refused = log.submit(submission(&table, &[("a", None), ("b", None), ("c", None)])).await.unwrap();
        claimed(&refused, "b", first.request.mutation);
    }
    assert_eq!(harness.claimed().await, 1);
    let home_of_refused = home(&log, &table, "a");
    let expected = if home_of_refused == home(&log, &table, "b") { Position(1) } else { Position(0) };
    assert_eq!(log.end(home_of_refused).await.unwrap(), expected);
    // Its other records are free, and `b` is once the first has ended.
    accepted(other.submit(submission(&table, &[("a", None), ("c", None)])).await.unwrap());
    harness.finish(first.request.mutation, "b", Some(1)).await;
    accepted(other.submit(submission(&table, &[("b", Some(1))])).await.unwrap());
}

/// One batch holds all kinds, and each is answered as if it were alone.
pub(crate) async fn neighbours_in_a_batch_do_not_touch_each_other(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    harness.set_version("row", Some(2)).await;
    let holder = submission(&table, &[("held", None)]);
    accepted(log.submit(holder.clone()).await.unwrap());
    let batch = [
        submission(&table, &[("n1", None)]),
        submission(&table, &[("held", None), ("n2", None)]),
        submission(&table, &[("row", Some(1)), ("n3", None)]),
        submission(&table, &[("n4", None), ("row", Some(2))]),
        submission(&table, &[("n5", None)]),
    ];
    let answers = join_all(batch.into_iter().map(|submission| log.submit(submission))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    accepted(answers[0].clone());
    claimed(&answers[1], "held", holder.request.mutation);
    assert_eq!(answers[2], Submitted::Stale);
    accepted(answers[3].clone());
    accepted(answers[4].clone());
    // held, n1, n4, row, n5
    assert_eq!(harness.claimed().await, 5);
}

/// A wants x y, B wants y z, C wants z: B waits for A, so C need not wait for B.
pub(crate) async fn overlapping_submissions_of_one_batch(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    let a = submission(&table, &[("x", None), ("y", None)]);
    let b = submission(&table, &[("y", None), ("z", None)]);
    let c = submission(&table, &[("z", None)]);
    let again = submission(&table, &[("x", None)]);
    let (a_answer, b_answer, c_answer, again_answer) =
        tokio::join!(log.submit(a.clone()), log.submit(b), log.submit(c), log.submit(again));
    accepted(a_answer.unwrap());
    claimed(&b_answer.unwrap(), "y", a.request.mutation);
    accepted(c_answer.unwrap());
    claimed(&again_answer.unwrap(), "x", a.request.mutation);
    assert_eq!(harness.claimed().await, 3);
}

/// A statement may name a record by two of its keys, and one key twice.
pub(crate) async fn a_key_twice_in_one_submission(harness: &impl Harness) {
    let (log, table) = (harness.process().await, harness.table());
    let mut twice = submission(&table, &[("a", None), ("b", None)]);
    twice.claims.extend([claim(&table, "a"), claim(&table, "a")]);
    accepted(log.submit(twice).await.unwrap());
    assert_eq!(harness.claimed().await, 2);
}

/// Two processes want overlapping records, named in any order, at the same time, while a third party releases claims:
/// one of them wins each round, and none is told of a deadlock.
pub(crate) async fn one_winner_per_round_and_no_deadlock(harness: &impl Harness) {
    const ROUNDS: usize = 30;
    const PER_PROCESS: usize = 4;
    let (processes, table) = ([harness.process().await, harness.process().await], harness.table());
    let keys: Vec<String> = (0..12).map(|n| format!("k{n}")).collect();
    for round in 0..ROUNDS {
        let wishes: Vec<_> = (0..2 * PER_PROCESS)
            .map(|who| {
                // All share one record; the others, and their order, differ.
                let mut wanted: Vec<_> =
                    keys.iter().enumerate().filter(|(n, _)| (n * 7 + who) % 3 == round % 3).collect();
                wanted.push((usize::MAX, &keys[round % keys.len()]));
                let turned = who % wanted.len();
                wanted.rotate_left(turned);
                if who % 2 == 1 {
                    wanted.reverse();
                }
                let records: Vec<_> = wanted.iter().map(|(_, key)| (key.as_str(), None)).collect();
                submission(&table, &records)
            })
            .collect();
        let answers =
            join_all(wishes.iter().enumerate().map(|(who, wish)| processes[who % 2].submit(wish.clone()))).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no deadlock, no other error")).collect();
        let winners: Vec<_> = (wishes.iter().zip(&answers))
            .filter(|(_, answer)| matches!(answer, Submitted::Accepted { .. }))
            .map(|(wish, _)| wish.request.mutation)
            .collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        harness.finish(winners[0], "none of them", None).await;
        assert_eq!(harness.claimed().await, 0, "a loser left a claim");
    }
}
