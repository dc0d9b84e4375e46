//! What is to be done about a record that differs from what the log says. Pure.

use super::fold::is_later;
use super::scope::Scope;
use crate::merge::RecordState;

/// One key, as the log and the live tables have it.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
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
pub(super) enum RowRepair {
    Stay,
    Insert,
    Change,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordRepair {
    Stay,
    Write,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// As it should be, or to be made so.
    Mend(RowRepair, RecordRepair),
    Waiting,
    Unknown,
}

/// What is to be done about a key. Pure.
pub(super) fn judge(suspect: &Suspect, scope: Scope, complete: bool) -> Judgement {
    let rows = scope == Scope::RowsAndRecords;
    let (row, record) = match &suspect.image {
        None => (
            if rows && suspect.row.is_some() { RowRepair::Delete } else { RowRepair::Stay },
            if suspect.record.is_some() { RecordRepair::Remove } else { RecordRepair::Stay },
        ),
        Some((state, deleted, _)) => (
            match (rows, deleted, suspect.row) {
                (false, ..) | (true, true, None) | (true, false, Some(false)) => RowRepair::Stay,
                (true, false, None) => RowRepair::Insert,
                (true, false, Some(true)) => RowRepair::Change,
                (true, true, Some(_)) => RowRepair::Delete,
            },
            match &suspect.record {
                Some((held, held_deleted)) if held == state && held_deleted == deleted => RecordRepair::Stay,
                _ => RecordRepair::Write,
            },
        ),
    };
    if (row, record) == (RowRepair::Stay, RecordRepair::Stay) {
        return Judgement::Mend(row, record);
    }
    let lost_part_may_know = match (&suspect.image, &suspect.record) {
        (None, _) => true,
        (Some((state, ..)), Some((held, deleted))) => is_later(held, *deleted, state),
        (Some(_), None) => false,
    };
    if !complete && lost_part_may_know {
        Judgement::Unknown
    } else if suspect.parked {
        Judgement::Waiting
    } else {
        Judgement::Mend(row, record)
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

    fn right() -> Suspect {
        Suspect {
            key: "k".into(),
            image: Some((state("2"), false, 0)),
            row: Some(false),
            record: Some((state("2"), false)),
            parked: false,
        }
    }

    fn judged(suspect: &Suspect) -> Judgement {
        judge(suspect, Scope::RowsAndRecords, true)
    }

    #[test]
    fn what_differs_is_mended() {
        assert_eq!(judged(&right()), Judgement::Mend(RowRepair::Stay, RecordRepair::Stay));
        let changed = Suspect { row: Some(true), ..right() };
        assert_eq!(judged(&changed), Judgement::Mend(RowRepair::Change, RecordRepair::Stay));
        assert_eq!(judged(&Suspect { row: None, ..right() }), Judgement::Mend(RowRepair::Insert, RecordRepair::Stay));
        assert_eq!(
            judged(&Suspect { image: None, ..right() }),
            Judgement::Mend(RowRepair::Delete, RecordRepair::Remove)
        );
        assert_eq!(judged(&Suspect { record: None, ..right() }), Judgement::Mend(RowRepair::Stay, RecordRepair::Write));
        let gone = Suspect { image: Some((state("2"), true, 0)), ..right() };
        assert_eq!(judged(&gone), Judgement::Mend(RowRepair::Delete, RecordRepair::Write));
        assert_eq!(judge(&gone, Scope::Records, true), Judgement::Mend(RowRepair::Stay, RecordRepair::Write));
        assert_eq!(judged(&Suspect { parked: true, ..changed }), Judgement::Waiting);
        assert_eq!(judged(&Suspect { parked: true, ..right() }), Judgement::Mend(RowRepair::Stay, RecordRepair::Stay));
    }

    #[test]
    fn what_the_lost_part_of_a_log_may_know_is_left() {
        let left = |suspect: Suspect| judge(&suspect, Scope::RowsAndRecords, false);
        assert_eq!(left(Suspect { image: None, ..right() }), Judgement::Unknown);
        let newer = Suspect { row: Some(true), record: Some((state("3"), false)), ..right() };
        assert_eq!(left(newer.clone()), Judgement::Unknown);
        assert_eq!(judged(&newer), Judgement::Mend(RowRepair::Change, RecordRepair::Write));
        let older = Suspect { row: Some(true), record: Some((state("1"), false)), ..right() };
        assert_eq!(left(older), Judgement::Mend(RowRepair::Change, RecordRepair::Write));
    }
}
