//! The images of one record, in the log's order → the one that the table is to show. Pure.

use upwrite_events::{MutationId, Partition, Row, Stream};

use super::shapes::ColumnSet;
use crate::merge::{Decision, Image, RecordState, decide};

/// An image without its values, and where it lies.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its row in the temporary table.
    pub(super) ctid: String,
    pub(super) state: RecordState,
    pub(super) deleted: bool,
    pub(super) spoken: ColumnSet,
}

/// The image to keep, and what to add to it from earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LatestImage {
    /// Index of the image that was written last.
    pub(super) index: usize,
    /// Columns that it does not speak of, and the image written before that does.
    pub(super) from_earlier: Vec<(usize, ColumnSet)>,
    /// What it speaks of then.
    pub(super) spoken: ColumnSet,
}

/// `None` only for no candidates.
pub(super) fn latest(candidates: &[Candidate]) -> Option<LatestImage> {
    let mut current: Option<RecordState> = None;
    // Since the record was last deleted, or first seen.
    let mut written: Vec<usize> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let incoming = image(candidate);
        if let Decision::Write | Decision::WriteAndReread = decide(current.as_ref(), &incoming) {
            current = Some(candidate.state.clone());
            if candidate.deleted || written.last().is_some_and(|last| candidates[*last].deleted) {
                written.clear();
            }
            written.push(index);
        }
    }
    let index = written.pop()?;
    let mut image = LatestImage { index, from_earlier: Vec::new(), spoken: candidates[index].spoken.clone() };
    for earlier in written.into_iter().rev() {
        if let Some(beyond) = candidates[earlier].spoken.beyond(&image.spoken) {
            image.spoken = image.spoken.with(&beyond);
            image.from_earlier.push((earlier, beyond));
        }
    }
    Some(image)
}

/// As `decide` reads it.
fn image(candidate: &Candidate) -> Image {
    Image {
        key: String::new(),
        row: (!candidate.deleted).then(Row::new),
        vendor_version: candidate.state.vendor_version.clone(),
        seen: candidate.state.seen,
        mutation: candidate.state.by_mutation.then_some(MutationId(uuid::Uuid::nil())),
        origin: Partition { stream: Stream::Observations, number: 0 },
    }
}

/// Whether what the table holds can be later than the last image that the log (or what is left of it) has.
pub(super) fn is_later(held: &RecordState, deleted: bool, logged: &RecordState) -> bool {
    let held = Candidate { ctid: String::new(), state: held.clone(), deleted, spoken: ColumnSet::none(0) };
    held.state != *logged && decide(Some(logged), &image(&held)) != Decision::Skip
}

#[cfg(test)]
mod tests {
    use upwrite_events::Interval;

    use super::*;

    fn candidate(version: Option<&str>, times: (i64, i64), mutation: bool, columns: &[usize]) -> Candidate {
        let mut spoken = ColumnSet::none(8);
        columns.iter().for_each(|column| spoken.add(*column));
        let seen = Interval { begun_us: times.0, ended_us: times.1 };
        let state = RecordState { vendor_version: version.map(str::to_owned), seen, by_mutation: mutation };
        Candidate { ctid: String::new(), state, deleted: false, spoken }
    }

    #[test]
    fn the_latest_is_kept_with_what_earlier_ones_add() {
        let first = candidate(Some("1"), (0, 1), false, &[0, 1, 2]);
        let second = candidate(Some("2"), (2, 3), false, &[1]);
        let stale = candidate(Some("0"), (4, 5), false, &[5]);
        let image = latest(&[first.clone(), second.clone(), stale.clone()]).unwrap();
        assert_eq!(image.index, 1);
        assert_eq!(image.from_earlier.len(), 1);
        assert_eq!(image.from_earlier[0].0, 0);
        assert!(image.spoken.has(2) && image.spoken.has(1) && !image.spoken.has(5));

        let gone = Candidate { deleted: true, ..candidate(Some("3"), (6, 7), true, &[]) };
        let again = candidate(Some("4"), (8, 9), false, &[1]);
        let image = latest(&[first.clone(), second.clone(), gone.clone(), again]).unwrap();
        assert_eq!((image.index, image.from_earlier.len()), (3, 0), "what was before a delete is gone");
        assert_eq!(latest(&[first, gone, second]).unwrap().index, 1);
    }

    #[test]
    fn what_the_lost_part_of_a_log_may_have_brought_is_later() {
        let logged = candidate(Some("2"), (2, 3), false, &[]).state;
        assert!(is_later(&candidate(Some("3"), (0, 1), false, &[]).state, false, &logged));
        assert!(!is_later(&candidate(Some("1"), (8, 9), false, &[]).state, false, &logged));
        assert!(!is_later(&logged, false, &logged));
    }
}
