//! A dry run of a captured statement, and what it amounts to.

use super::end::End;
use super::execution::{Attempt, CapturedStatement, Next};
use super::flight_result::{Excess, Returned};
use super::life::Session;
use super::own::QUERY;
use super::result_set::ResultSet;
use super::step::Step;
use crate::capture::{self, CaptureError, Captured, DryRun};
use crate::error::PgError;
use crate::returning::Returning;
use crate::wire::Bind;

impl Session {
    /// One dry run, and what follows from it.
    pub(super) async fn attempt(&mut self, job: &CapturedStatement, attempt: &mut Attempt) -> Result<Next, End> {
        let in_block = self.block.open;
        // Rolling back in the flight would take along what the pipeline did before.
        let inside = attempt.known && (in_block || self.block.executed == 0);
        let mut run = self.dry_run(job, attempt.again, inside).await?;
        if run.skipped {
            return Ok(Next::Done(None));
        }
        if let Some((step, frame)) = run.failed.take() {
            return self.dry_run_failed(attempt, inside, &run, step, &frame).await;
        }
        if inside && !in_block {
            self.names.lose_portals();
        }
        match self.plan(&run, in_block).await {
            Err(error) => {
                self.undo(inside).await?;
                self.fail(error).await.map(Next::Done)
            }
            Ok(Captured::Nothing) if inside && run.counted() > 0 => {
                // Another relation than the snapshot knew: what was rolled back must count.
                attempt.known = false;
                Ok(Next::RunAgain)
            }
            Ok(Captured::Nothing) => self.keep(job, inside, run).await,
            Ok(Captured::Unchanged) => {
                self.undo(inside).await?;
                Ok(Next::Done(self.answer_dry(job, run).await?))
            }
            Ok(Captured::Mutation(_)) if job.capture.dry => {
                self.undo(inside).await?;
                Ok(Next::Done(self.answer_dry(job, run).await?))
            }
            Ok(Captured::Mutation(mut plan)) => {
                self.undo(inside).await?;
                attempt.traced.lead(&job.capture, &mut plan);
                self.mutate(job, attempt, run, &plan).await
            }
        }
    }

    async fn dry_run(&mut self, job: &CapturedStatement, again: bool, inside: bool) -> Result<Returned, End> {
        let in_block = self.block.open;
        let needs_types = matches!(job.returning(), Some(Returning::Again(list)) if !list.params.is_empty());
        let excess = match (inside, job.max_rows) {
            (false, ..=0) => Excess::Stream { describe: job.query.is_some() },
            _ => Excess::Drop,
        };
        let lost = self.names.portals.get_mut(&job.portal).is_some_and(|portal| std::mem::take(&mut portal.lost));
        let statement = Bind::names(&job.bind)?.1;
        self.flight(excess, |requests| {
            requests.prepare();
            if in_block {
                requests.call(Step::Mark, &[]);
                requests.call(Step::Savepoint, &[]);
            } else if inside {
                requests.call(Step::Begin, &[]);
            }
            if let Some(query) = job.query.as_ref().filter(|_| !again) {
                requests.close(b'S', QUERY, Step::Rebind);
                requests.parse(QUERY, query, &[], Step::Rebind);
            }
            if again || lost || job.query.is_some() {
                requests.rebind(&job.portal, &job.bind.raw);
            }
            if needs_types {
                requests.describe(b'S', &statement, Step::DescribeStatement);
            }
            requests.describe(b'P', &job.portal, Step::DescribePortal);
            requests.execute(&job.portal, Step::Statement);
            requests.call(if in_block { Step::FlushSynced } else { Step::Flush }, &[]);
            requests.read_capture();
            match (inside, in_block) {
                (true, true) => {
                    requests.call(Step::RollbackTo, &[]);
                    requests.call(Step::Release, &[]);
                }
                (true, false) => requests.call(Step::Rollback, &[]),
                (false, _) => {}
            }
        })
        .await
    }

    /// Undoes the dry run unless its own flight did.
    async fn undo(&mut self, inside: bool) -> Result<(), End> {
        if inside {
            return Ok(());
        }
        let in_block = self.block.open;
        self.flight(Excess::Drop, |requests| {
            if in_block {
                requests.call(Step::RollbackTo, &[]);
                requests.call(Step::Release, &[]);
            } else {
                requests.call(Step::Rollback, &[]);
            }
        })
        .await?;
        if !in_block {
            self.names.lose_portals();
            // Had the pipeline written something before, it would have been refused as mixed.
            self.block.executed = 0;
        }
        Ok(())
    }

    /// Nothing was captured: what the statement did, counts.
    async fn keep(&mut self, job: &CapturedStatement, inside: bool, run: Returned) -> Result<Next, End> {
        if !inside && self.block.open {
            self.flight(Excess::Drop, |requests| requests.call(Step::Release, &[])).await?;
        } else if !inside {
            self.block.executed += 1;
        }
        Ok(Next::Done(self.answer_dry(job, run).await?))
    }

    async fn plan(&mut self, run: &Returned, in_block: bool) -> Result<Captured, PgError> {
        if run.too_many_images() {
            return Err(PgError::error("54000", "the statement changes more of synced tables than one statement can")
                .with_detail("Nothing was sent upstream.")
                .with_hint("Split it into several statements."));
        }
        let dry_run = DryRun {
            images: &run.images,
            session: run.session.as_deref().unwrap_or_default(),
            mark: in_block.then(|| run.mark.as_deref().unwrap_or_default()),
        };
        match capture::plan(&dry_run, &self.environment.catalog.current()) {
            Err(CaptureError::StaleCatalog(what)) => {
                tracing::debug!(what, "the catalog is stale");
                let catalog = self.environment.catalog.refresh().await.map_err(|error| {
                    tracing::warn!(%error, "the catalog could not be read");
                    PgError::error("57P03", "the catalog of synced tables cannot be read now")
                })?;
                capture::plan(&dry_run, &catalog).map_err(CaptureError::into_error)
            }
            planned => planned.map_err(CaptureError::into_error),
        }
    }

    /// The dry run's own result is the client's.
    async fn answer_dry(&mut self, job: &CapturedStatement, run: Returned) -> Result<Option<ResultSet>, End> {
        if run.overflow {
            return self.fail(job.result_too_large()).await;
        }
        run.notices.iter().for_each(|notice| self.client.send(notice));
        Ok(Some(ResultSet::new(run)))
    }
}
