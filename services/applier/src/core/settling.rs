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

/// What upstream said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The record; `None`: gone, or several fit.
    Read {
        row: u32,
        key: String,
        record: Option<Seen>,
    },
    Judged {
        row: u32,
        look: Look,
    },
}

/// The findings, as the fact that ends the mutation for good. Rows whose look tells nothing stay in doubt.
pub(crate) fn settled(job: &Job, findings: Vec<Finding>, now: Interval) -> Event {
    let (mut applied, mut not_applied, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut show = |row: u32, seen: Seen| {
        let Seen { key, image, vendor_version, interval } = seen;
        rows.push(AppliedRow { row, key, image, vendor_version, seen: interval });
    };
    for finding in findings {
        match finding {
            Finding::Read { row, record: Some(seen), .. } => show(row, seen),
            // The reconciler has it read by id.
            Finding::Read { row, key, record: None } => {
                show(row, Seen { key, image: None, vendor_version: None, interval: now });
            }
            Finding::Judged { row, look: Look::Done(seen) } => {
                applied.push(row);
                show(row, seen);
            }
            Finding::Judged { row, look: Look::NotDone } => not_applied.push(row),
            Finding::Judged { row, look: Look::Unclear(Some(seen)) } => show(row, seen),
            Finding::Judged { look: Look::Unclear(None), .. } => {}
        }
    }
    Event::MutationSettled(MutationSettled { mutation: job.mutation, owner: job.owner, applied, not_applied, rows })
}
