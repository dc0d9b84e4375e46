//! The stepper: what the log and upstream have said so far → what to do next. Pure; no clock, no task, no I/O.

mod compare;
mod failures;
mod job;
#[cfg(test)]
mod model;
mod next;
mod pieces;
mod recorded;
mod references;
mod row;
mod settling;
#[cfg(test)]
mod steps;
mod takeover;

pub(crate) use compare::{judge, same_by, shown};
pub(crate) use failures::{no_answer, no_table, unknown_outcome};
pub(crate) use job::{Job, RowOutcome, Times};
pub(crate) use next::{JobStep, Limits};
pub(crate) use pieces::{idempotency, pieces};
pub(crate) use references::CreatedKeys;
pub(crate) use row::Seen;
pub(crate) use settling::{Finding, Question, questions, settled};
pub(crate) use takeover::{Origin, PriorSend, announces, prior_send};
