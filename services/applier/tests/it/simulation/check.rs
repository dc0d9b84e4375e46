//! What clients learned against what happened.

use upwrite_events::{Phase, RowState, Verdict};

use super::client::ClientStory;
use crate::double::{Bench, KEYED, NOTHING};

pub(super) fn check(bench: &Bench, stories: &[ClientStory], records: u64) {
    for story in stories {
        one(bench, story);
    }
    for record in 0..records {
        let applied = stories
            .iter()
            .filter(|story| story.update == Some(record) && story.asked.life().phase == Phase::Applied)
            .count();
        let value = bench.world.value(KEYED, &format!("r{record}"), "n");
        assert_eq!(value, Some(applied.to_string()), "record r{record}: an update was lost or came back");
    }
}

fn one(bench: &Bench, story: &ClientStory) {
    let life = story.asked.life();
    let who = || {
        format!(
            "{} on {}: verdict {:?}, {:?}, {life:?}",
            story.asked.mutation,
            story.table,
            story.verdict,
            story.asked.story()
        )
    };
    let effects = |row: usize| bench.world.effects(&story.asked.idempotency_key(row as u32));
    let made: Vec<usize> = (0..life.rows.len()).map(effects).collect();
    // What the client learned.
    match &story.verdict {
        Verdict::Applied(_) => assert!(made.iter().all(|count| *count > 0), "{}: {made:?}", who()),
        Verdict::Rejected(_) | Verdict::Revoked | Verdict::Voided => {
            assert!(made.iter().all(|count| *count == 0), "{}: {made:?}", who());
        }
        Verdict::Partial { applied, .. } => {
            for (row, count) in made.iter().enumerate() {
                assert_eq!(*count > 0, applied.contains(&(row as u32)), "{}: {made:?}", who());
            }
        }
        Verdict::Unknown(failure) => {
            assert_eq!(failure.as_ref().map(|failure| failure.sqlstate.as_str()), Some("40003"), "{}", who());
        }
    }
    // What the log says in the end.
    for (row, state) in life.rows.iter().enumerate() {
        match state {
            RowState::Applied(_) => assert!(made[row] > 0, "{}: {made:?}", who()),
            RowState::Rejected | RowState::Pending => assert_eq!(made[row], 0, "{}: {made:?}", who()),
            RowState::InDoubt => assert_eq!(story.table, NOTHING, "{}: could have been found out", who()),
        }
        // An update may be made twice: to the same value, while the record is claimed.
        assert!(story.update.is_some() || made[row] <= 1, "{}: {made:?}", who());
    }
}
