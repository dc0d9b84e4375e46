//! After the last late effect: read back, say what is there, let the claims go.

use upwrite_connectors::Idempotency;
use upwrite_events::{AppliedRow, Event, Interval, MutationSettled, Op, RowState};

use super::job::Job;
use super::row::{Look, Seen};

/// What to ask upstream about one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// What does the record with this key look like?
    Read { row: u32, key: String },
    /// Was the change made?
    Judge { row: u32 },
}

impl Question {
    pub(crate) fn row(&self) -> u32 {
        match self {
            Self::Read { row, .. } | Self::Judge { row } => *row,
        }
    }
}

/// The questions that settle a finished job.
pub(crate) fn questions(job: &Job) -> Vec<Question> {
    let mut questions = Vec::new();
    for (row, state) in (0u32..).zip(job.states()) {
        let Some(piece) = job.piece_of(row) else { continue };
        match state {
            RowState::Applied(key) if piece.op != Op::Delete => {
                questions.push(Question::Read { row, key: key.clone() })
            }
            RowState::InDoubt if can_tell(piece.idempotency, piece.op) => questions.push(Question::Judge { row }),
            _ => {}
        }
    }
    questions
}

/// Whether a look-up can tell whether the change was made.
fn can_tell(idempotency: Idempotency, op: Op) -> bool {
    op != Op::Insert || matches!(idempotency, Idempotency::UpsertKey | Idempotency::ClientId | Idempotency::Probe)
}

/// The answers, as the fact that ends the mutation for good. Rows whose look tells nothing stay in doubt.
pub(crate) fn settled(job: &Job, answers: &[(Question, Look)], now: Interval) -> Event {
    let (mut applied, mut not_applied, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut show = |row: u32, seen: &Seen| {
        rows.push(AppliedRow {
            row,
            key: seen.key.clone(),
            image: seen.image.clone(),
            vendor_version: seen.vendor_version.clone(),
            seen: seen.interval,
        });
    };
    for (question, look) in answers {
        match (question, look) {
            (Question::Read { row, .. }, Look::Done(seen) | Look::Unclear(Some(seen))) => show(*row, seen),
            // Gone, or not to be told: the reconciler has it read by id.
            (Question::Read { row, key }, Look::NotDone | Look::Unclear(None)) => {
                let seen = Seen { key: key.clone(), image: None, vendor_version: None, interval: now };
                show(*row, &seen);
            }
            (Question::Judge { row }, Look::Done(seen)) => {
                applied.push(*row);
                show(*row, seen);
            }
            (Question::Judge { row }, Look::NotDone) => not_applied.push(*row),
            (Question::Judge { row }, Look::Unclear(Some(seen))) => show(*row, seen),
            (Question::Judge { .. }, Look::Unclear(None)) => {}
        }
    }
    Event::MutationSettled(MutationSettled { mutation: job.mutation, owner: job.owner, applied, not_applied, rows })
}
