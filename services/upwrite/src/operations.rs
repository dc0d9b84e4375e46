//! What `upwrite ctl` may ask the control API to do: rebuild from the log, recover.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use sqlx::PgPool;
use tokio::sync::mpsc;
use upwrite_control::{OperationError, Operations, Progress, ProgressStream, Target};
use upwrite_event_log::{EventLog, LogError};
use upwrite_reconciler::{
    Binding, ProjectionsReport, Rebuild, RebuildError, RebuildProgress, RecoverReport, TableReport,
};

use crate::config::{Config, Engine};
use crate::connect;

/// Steps that a slow caller may lag behind; further ones are left out.
const STEPS: usize = 64;

/// Processes that do anything but answer `upwrite ctl`.
const AT_WORK: &str = "/* upwrite.at_work */
    select coalesce(string_agg(format('%s/%s (%s)', host, pid, array_to_string(stages, ', ')), '; '), '')
    from upwrite.processes
    where seen_at > clock_timestamp() - interval '10 seconds' and stages <> '{control}'";

/// One deployment's.
pub(crate) struct LogOperations {
    pub(crate) config: Config,
    pub(crate) pool: PgPool,
    pub(crate) log: Arc<dyn EventLog>,
}

/// The work; it ends with a sentence about what was done.
type Work = BoxFuture<'static, Result<String, RebuildError>>;

#[async_trait]
impl Operations for LogOperations {
    async fn rebuild(&self, target: Target) -> Result<ProgressStream, OperationError> {
        let (sender, receiver) = mpsc::channel(STEPS);
        let rebuild = self.new_rebuild(sender);
        let work = async move {
            match target {
                Target::Table(table) => rebuild.table(&table).await.map(|report| of_table(&report)),
                Target::Projections => rebuild.projections().await.map(|report| of_projections(&report)),
            }
        };
        Ok(progress_stream(work.boxed(), receiver))
    }

    async fn recover(&self) -> Result<ProgressStream, OperationError> {
        let away = |error: &dyn std::fmt::Display| OperationError::Unavailable(error.to_string());
        let at_work: String = sqlx::query_scalar(AT_WORK).fetch_one(&self.pool).await.map_err(|error| away(&error))?;
        if !at_work.is_empty() {
            return Err(OperationError::NotNow(format!(
                "stop all stages but `upwrite control` first; still running: {at_work}"
            )));
        }
        let here = connect::log::binding(&self.config).await.map_err(|error| away(&error))?;
        let (sender, receiver) = mpsc::channel(STEPS);
        let rebuild = self.new_rebuild(sender);
        let binding = Binding { log_cluster: here.cluster };
        let work = async move { rebuild.recover(&binding).await.map(|report| of_recovery(&report)) };
        Ok(progress_stream(work.boxed(), receiver))
    }
}

impl LogOperations {
    fn new_rebuild(&self, sender: mpsc::Sender<RebuildProgress>) -> Rebuild {
        let options = connect::postgres::reconciler_options(&self.config.postgres);
        Rebuild::new(options, self.log.clone(), Some(sender))
            .with_outbox(matches!(self.config.engine, Engine::Kafka(_)))
    }
}

/// What the work reports, and at last what it has done. Dropped, the work is dropped.
fn progress_stream(work: Work, receiver: mpsc::Receiver<RebuildProgress>) -> ProgressStream {
    let steps = stream::unfold(Relay::Working(work, receiver), |state| async {
        let (mut receiver, last) = match state {
            Relay::Working(mut work, mut receiver) => tokio::select! {
                biased;
                Some(step) = receiver.recv() => return Some((Ok(progress(step)), Relay::Working(work, receiver))),
                done = &mut work => {
                    let last = done.map(|message| Progress { phase: "done".to_owned(), message, ..Default::default() });
                    (receiver, last.map_err(failed))
                }
            },
            Relay::Draining(receiver, last) => (receiver, last),
            Relay::Ended => return None,
        };
        // What it reported just before its end comes first.
        match receiver.try_recv() {
            Ok(step) => Some((Ok(progress(step)), Relay::Draining(receiver, last))),
            Err(_) => Some((last, Relay::Ended)),
        }
    });
    steps.boxed()
}

enum Relay {
    Working(Work, mpsc::Receiver<RebuildProgress>),
    /// The work has ended; some of what it reported may still wait.
    Draining(mpsc::Receiver<RebuildProgress>, Result<Progress, OperationError>),
    Ended,
}

fn progress(step: RebuildProgress) -> Progress {
    Progress {
        unit: if step.phase.starts_with("mending") { "rows" } else { "events" }.to_owned(),
        phase: step.of.map_or_else(|| step.phase.to_owned(), |table| format!("{}: {table}", step.phase)),
        done: step.done,
        total: (step.total > 0).then_some(step.total),
        ..Default::default()
    }
}

fn failed(error: RebuildError) -> OperationError {
    let text = error.to_string();
    match error {
        RebuildError::NoSuchTable(_) => OperationError::NotFound(text),
        RebuildError::Busy { .. } | RebuildError::Refused(_) => OperationError::NotNow(text),
        RebuildError::Log(LogError::Unavailable(_)) | RebuildError::Database { source: sqlx::Error::Io(_), .. } => {
            OperationError::Unavailable(text)
        }
        RebuildError::Database { .. } | RebuildError::Log(_) | RebuildError::Corrupt { .. } => {
            OperationError::Failed(format!("{text}; run it again"))
        }
    }
}

fn of_table(report: &TableReport) -> String {
    let mut text = format!(
        "{} events read; {} rows: {} as they should be, {} mended, {} inserted, {} deleted, {} records",
        report.events, report.rows, report.equal, report.mended, report.inserted, report.deleted, report.records
    );
    for (count, why) in [
        (report.unknown, "left, since the log does not know them"),
        (report.waiting, "left, since an image of theirs is parked"),
        (report.locked, "left, since they stayed locked: run it again"),
        (report.refused, "refused by a constraint"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {why}"));
        }
    }
    if !report.log_is_complete {
        text.push_str("; the log does not begin at its beginning any more");
    }
    text
}

fn of_projections(report: &ProjectionsReport) -> String {
    let mutations = &report.mutations;
    let records: u64 = report.records.iter().map(|(_, table)| table.records).sum();
    format!(
        "{} events read; {} mutations: {} mended, {} inserted, {} deleted, {} not in the log; {} owners and {} records put right",
        mutations.events,
        mutations.mutations,
        mutations.mended,
        mutations.inserted,
        mutations.deleted,
        mutations.unknown,
        mutations.owners,
        records
    )
}

fn of_recovery(report: &RecoverReport) -> String {
    format!(
        "{} positions set; {} mutations in doubt now, {} of them unknown to the log; {} claims hold; {} tables and {} records are \
         read again",
        report.positions_set,
        report.in_doubt + report.lost,
        report.lost,
        report.claims,
        report.tables,
        report.rereads
    )
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use upwrite_events::TableName;

    use super::*;

    fn step(done: u64) -> RebuildProgress {
        RebuildProgress { phase: "comparing", of: Some(TableName::new("crm", "contact")), done, total: 2 }
    }

    #[tokio::test]
    async fn every_step_is_told_and_then_what_was_done() {
        let (sender, receiver) = mpsc::channel(STEPS);
        let work = async move {
            sender.send(step(1)).await.expect("received");
            sender.send(step(2)).await.expect("received");
            Ok("all of it".to_owned())
        };
        let steps: Vec<Progress> = progress_stream(work.boxed(), receiver).try_collect().await.expect("no error");
        assert_eq!(steps.iter().map(|step| step.done).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(steps[0].phase, "comparing: crm.contact");
        assert_eq!(steps[2].message, "all of it");
    }

    #[tokio::test]
    async fn failures_end_it() {
        let (_sender, receiver) = mpsc::channel(STEPS);
        let work = async { Err(RebuildError::NoSuchTable(TableName::new("crm", "nothing"))) };
        let steps: Result<Vec<Progress>, _> = progress_stream(work.boxed(), receiver).try_collect().await;
        assert!(matches!(steps, Err(OperationError::NotFound(_))), "{steps:?}");
    }
}
