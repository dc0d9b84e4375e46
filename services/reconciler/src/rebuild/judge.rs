//! What is to be done about a record that differs from what the log says. Pure.

use super::fold::is_later;
use super::scope::Scope;
use crate::merge::RecordState;

/// One key, as the log and the live tables have it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: String,
    /// Of the last image: order, deleted, shape. `None`: the log does not know the key.
    pub(super) image: Option<(RecordState, bool, i32)>,
    /// There is a row; and whether it differs from the image.
    pub(super) row: Option<bool>,
    /// `upwrite.records`: order, deleted.
    pub(super) record: Option<(RecordState, bool)>,
    pub(super) parked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowTo {
    Stay,
    Insert,
    Change,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordTo {
    Stay,
    Write,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// As it should be, or to be made so.
    Mend(RowTo, RecordTo),
    Waiting,
    Unknown,
}

/// What is to be done about a key. Pure.
pub(super) fn judge(found: &Found, scope: Scope, complete: bool) -> Judged {
    let rows = scope == Scope::RowsAndRecords;
    let (row, record) = match &found.image {
        None => (
            if rows && found.row.is_some() { RowTo::Delete } else { RowTo::Stay },
            if found.record.is_some() { RecordTo::Remove } else { RecordTo::Stay },
        ),
        Some((state, deleted, _)) => (
            match (rows, deleted, found.row) {
                (false, ..) | (true, true, None) | (true, false, Some(false)) => RowTo::Stay,
                (true, false, None) => RowTo::Insert,
                (true, false, Some(true)) => RowTo::Change,
                (true, true, Some(_)) => RowTo::Delete,
            },
            match &found.record {
                Some((held, held_deleted)) if held == state && held_deleted == deleted => RecordTo::Stay,
                _ => RecordTo::Write,
            },
        ),
    };
    if (row, record) == (RowTo::Stay, RecordTo::Stay) {
        return Judged::Mend(row, record);
    }
    let lost_part_may_know = match (&found.image, &found.record) {
        (None, _) => true,
        (Some((state, ..)), Some((held, deleted))) => is_later(held, *deleted, state),
        (Some(_), None) => false,
    };
    if !complete && lost_part_may_know {
        Judged::Unknown
    } else if found.parked {
        Judged::Waiting
    } else {
        Judged::Mend(row, record)
    }
}

#[cfg(test)]
mod tests {
    use upwrite_events::Interval;

    use super::*;

    fn state(version: &str) -> RecordState {
        let seen = Interval { begun_us: 0, ended_us: 1 };
        RecordState { vendor_version: Some(version.into()), seen, by_mutation: false }
    }

    fn right() -> Found {
        Found {
            key: "k".into(),
            image: Some((state("2"), false, 0)),
            row: Some(false),
            record: Some((state("2"), false)),
            parked: false,
        }
    }

    fn judged(found: &Found) -> Judged {
        judge(found, Scope::RowsAndRecords, true)
    }

    #[test]
    fn what_differs_is_mended() {
        assert_eq!(judged(&right()), Judged::Mend(RowTo::Stay, RecordTo::Stay));
        let changed = Found { row: Some(true), ..right() };
        assert_eq!(judged(&changed), Judged::Mend(RowTo::Change, RecordTo::Stay));
        assert_eq!(judged(&Found { row: None, ..right() }), Judged::Mend(RowTo::Insert, RecordTo::Stay));
        assert_eq!(judged(&Found { image: None, ..right() }), Judged::Mend(RowTo::Delete, RecordTo::Remove));
        assert_eq!(judged(&Found { record: None, ..right() }), Judged::Mend(RowTo::Stay, RecordTo::Write));
        let gone = Found { image: Some((state("2"), true, 0)), ..right() };
        assert_eq!(judged(&gone), Judged::Mend(RowTo::Delete, RecordTo::Write));
        assert_eq!(judge(&gone, Scope::Records, true), Judged::Mend(RowTo::Stay, RecordTo::Write));
        assert_eq!(judged(&Found { parked: true, ..changed }), Judged::Waiting);
        assert_eq!(judged(&Found { parked: true, ..right() }), Judged::Mend(RowTo::Stay, RecordTo::Stay));
    }

    #[test]
    fn what_the_lost_part_of_a_log_may_know_is_left() {
        let left = |found: Found| judge(&found, Scope::RowsAndRecords, false);
        assert_eq!(left(Found { image: None, ..right() }), Judged::Unknown);
        let newer = Found { row: Some(true), record: Some((state("3"), false)), ..right() };
        assert_eq!(left(newer.clone()), Judged::Unknown);
        assert_eq!(judged(&newer), Judged::Mend(RowTo::Change, RecordTo::Write));
        let older = Found { row: Some(true), record: Some((state("1"), false)), ..right() };
        assert_eq!(left(older), Judged::Mend(RowTo::Change, RecordTo::Write));
    }
}
