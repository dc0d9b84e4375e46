//! A dry run of a captured statement, and what it amounts to.

use super::end::End;
use super::execution::{CapturedStatement, Execution, Next};
use super::flight_result::{Excess, FlightResult};
use super::life::Session;
use super::own::QUERY;
use super::result_set::ResultSet;
use super::step::Step;
use crate::error::PgError;
use crate::planning::{self, Conclusion, DryRun, PlanError};
use crate::returning::Returning;
use crate::wire::Bind;

impl Session {
    /// One dry run, and what follows from it.
    pub(super) async fn run_once(
        &mut self,
        statement: &CapturedStatement,
        execution: &mut Execution,
    ) -> Result<Next, End> {
        let in_block = self.block.open;
        // A rollback in the flight would also undo what the pipeline did before.
        let inside = execution.known && (in_block || self.block.executed == 0);
        let mut run = self.dry_run(statement, execution.again, inside).await?;
        if run.skipped {
            return Ok(Next::Done(None));
        }
        if let Some((step, frame)) = run.failed.take() {
            return self.dry_run_failed(execution, inside, &run, step, &frame).await;
        }
        if inside && !in_block {
            self.names.lose_portals();
        }
        match self.plan(&run, in_block).await {
            Err(error) => {
                self.undo(inside).await?;
                self.fail(error).await.map(Next::Done)
            }
            Ok(Conclusion::Nothing) if inside && run.counted() > 0 => {
                // It wrote another relation than the snapshot said, so it must run again and be kept.
                execution.known = false;
                Ok(Next::RunAgain)
            }
            Ok(Conclusion::Nothing) => self.keep(statement, inside, run).await,
            Ok(Conclusion::Unchanged) => {
                self.undo(inside).await?;
                Ok(Next::Done(self.answer_dry(statement, run).await?))
            }
            Ok(Conclusion::Mutation(_)) if statement.write.dry => {
                self.undo(inside).await?;
                Ok(Next::Done(self.answer_dry(statement, run).await?))
            }
            Ok(Conclusion::Mutation(mut plan)) => {
                self.undo(inside).await?;
                execution.span.lead(&statement.write, &mut plan);
                self.mutate(statement, execution, run, &plan).await
            }
        }
    }

    async fn dry_run(&mut self, statement: &CapturedStatement, again: bool, inside: bool) -> Result<FlightResult, End> {
        let in_block = self.block.open;
        let needs_types = matches!(statement.returning(), Some(Returning::Reevaluate(list)) if !list.params.is_empty());
        let excess = match (inside, statement.max_rows) {
            (false, ..=0) => Excess::Stream { describe: statement.query.is_some() },
            _ => Excess::Drop,
        };
        let lost = self.names.portals.get_mut(&statement.portal).is_some_and(|portal| std::mem::take(&mut portal.lost));
        let prepared = Bind::names(&statement.bind)?.1;
        self.flight(excess, |requests| {
            requests.prepare();
            if in_block {
                requests.call(Step::Mark, &[]);
                requests.call(Step::Savepoint, &[]);
            } else if inside {
                requests.call(Step::Begin, &[]);
            }
            if let Some(query) = statement.query.as_ref().filter(|_| !again) {
                requests.close(b'S', QUERY, Step::Rebind);
                requests.parse(QUERY, query, &[], Step::Rebind);
            }
            if again || lost || statement.query.is_some() {
                requests.rebind(&statement.portal, &statement.bind.raw);
            }
            if needs_types {
                requests.describe(b'S', &prepared, Step::DescribeStatement);
            }
            requests.describe(b'P', &statement.portal, Step::DescribePortal);
            requests.execute(&statement.portal, Step::Statement);
            requests.call(if in_block { Step::FlushSynced } else { Step::Flush }, &[]);
            requests.read_dry_run();
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

    /// No synced table was written: what the statement did is kept.
    async fn keep(&mut self, statement: &CapturedStatement, inside: bool, run: FlightResult) -> Result<Next, End> {
        if !inside && self.block.open {
            self.flight(Excess::Drop, |requests| requests.call(Step::Release, &[])).await?;
        } else if !inside {
            self.block.executed += 1;
        }
        Ok(Next::Done(self.answer_dry(statement, run).await?))
    }

    async fn plan(&mut self, run: &FlightResult, in_block: bool) -> Result<Conclusion, PgError> {
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
        match planning::plan(&dry_run, &self.environment.catalog.current()) {
            Err(PlanError::StaleCatalog(what)) => {
                tracing::debug!(what, "the catalog is stale");
                let catalog = self.environment.catalog.refresh().await.map_err(|error| {
                    tracing::warn!(%error, "the catalog could not be read");
                    PgError::error("57P03", "the catalog of synced tables cannot be read now")
                })?;
                planning::plan(&dry_run, &catalog).map_err(PlanError::into_error)
            }
            planned => planned.map_err(PlanError::into_error),
        }
    }

    /// The client gets the dry run's own result.
    async fn answer_dry(&mut self, statement: &CapturedStatement, run: FlightResult) -> Result<Option<ResultSet>, End> {
        if run.overflow {
            return self.fail(statement.result_too_large()).await;
        }
        run.notices.iter().for_each(|notice| self.client.send(notice));
        Ok(Some(ResultSet::new(run)))
    }
}
