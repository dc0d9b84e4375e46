//! Statements that fail: in the dry run, before the append, or by their verdict.

use super::end::End;
use super::execution::{Execution, Next};
use super::flight_result::{Excess, FlightResult};
use super::life::Session;
use super::result_set::ResultSet;
use super::step::Step;
use crate::error::PgError;
use crate::measure::{self, Class};
use crate::planning;
use crate::wire::{Frame, error_fields};

impl Session {
    /// The statement fails. Where the client's transaction has done something, it fails in the server, too.
    pub(super) async fn fail(&mut self, error: PgError) -> Result<Option<ResultSet>, End> {
        if self.block.open || self.block.executed > 0 {
            self.raise().await?;
        }
        let error = self.with_what_stands(error);
        self.client.send(&error.frame());
        self.state.skip();
        Ok(None)
    }

    /// Refuses a statement of which nothing was sent.
    pub(super) async fn refuse(&mut self, error: PgError) -> Result<(), End> {
        measure::statements(Class::Refused, 1);
        if self.drain().await? {
            self.fail(error).await?;
        }
        Ok(())
    }

    async fn raise(&mut self) -> Result<(), End> {
        self.flight(Excess::Drop, |requests| {
            requests.prepare();
            requests.call(Step::Raise, &[]);
        })
        .await?;
        Ok(())
    }

    pub(super) async fn dry_run_failed(
        &mut self,
        execution: &mut Execution,
        inside: bool,
        run: &FlightResult,
        step: Step,
        frame: &Frame,
    ) -> Result<Next, End> {
        let in_block = self.block.open;
        let error = error_fields(frame);
        // What the pipeline did before cannot be run again.
        let alone = in_block || self.block.executed == 0;
        if step == Step::Statement && alone && self.may_be_claimed(&error) {
            if !in_block {
                self.recover(inside).await?;
                self.names.lose_portals();
            }
            match self.wait_for_claim(execution, &error).await? {
                Ok(true) => return Ok(Next::RunAgain),
                Ok(false) => {}
                Err(error) => return self.fail(error).await.map(Next::Done),
            }
            if in_block {
                // The rollback to the savepoint undid the error; the transaction must fail as it would have.
                self.raise().await?;
            }
        } else if inside && !in_block {
            self.recover(true).await?;
            self.names.lose_portals();
        }
        run.notices.iter().for_each(|notice| self.client.send(notice));
        self.send_error(frame);
        self.state.skip();
        Ok(Next::Done(None))
    }

    /// Relays an error of the server, or says more where a pipeline has applied something.
    pub(super) fn send_error(&mut self, frame: &Frame) {
        if self.block.stands_before_failure().is_some() {
            let error = self.with_what_stands(error_fields(frame));
            self.client.send(&error.frame());
        } else {
            self.client.send(&frame.raw);
        }
    }

    /// The statements before one Sync are one transaction to the client: after an error it believes that none of them
    /// happened. Where upstream has already applied some, the error must say so, or the client repeats them.
    fn with_what_stands(&self, error: PgError) -> PgError {
        let Some(pipeline) = self.block.stands_before_failure() else { return error };
        let named: Vec<String> =
            pipeline.named.iter().map(|(mutation, keys)| format!("{mutation} ({})", keys.join(", "))).collect();
        let more = pipeline.applied - pipeline.named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let failed = format!("The statement that failed: {} ({}).", error.message, error.sqlstate);
        PgError::error("40003", "earlier statements of this pipeline were applied, a later one failed")
            .with_detail(format!("Applied: {}{more}. {failed}", named.join(", ")))
            .with_hint("Do not repeat the whole pipeline. See upwrite.mutations.")
    }

    /// A duplicate in a synced table may be of a record that is on its way to be deleted or renamed.
    pub(super) fn may_be_claimed(&self, error: &PgError) -> bool {
        let (Some(schema), Some(table)) = (&error.schema, &error.table) else {
            return false;
        };
        let name = upwrite_events::TableName::new(schema, table);
        error.sqlstate == "23505" && self.environment.catalog.current().by_name(&name).is_some()
    }

    pub(super) async fn wait_for_claim(
        &mut self,
        execution: &mut Execution,
        error: &PgError,
    ) -> Result<Result<bool, PgError>, End> {
        let in_block = self.block.open;
        let read = self
            .flight(Excess::Drop, |requests| {
                if in_block {
                    requests.sync();
                    requests.call(Step::RollbackTo, &[]);
                    requests.call(Step::Release, &[]);
                }
                requests.read_dry_run();
            })
            .await?;
        let limits = match execution.limits.clone() {
            Some(limits) => limits,
            None => match planning::SessionSettings::read(read.session.as_deref().unwrap_or_default()) {
                Ok(session) => execution.limits(&session),
                Err(error) => return Ok(Err(error)),
            },
        };
        self.server.cancel.aim_at_wait(&execution.cancel);
        let submitter = self.environment.submitter.clone();
        let catalog = self.environment.catalog.current();
        let waited = self.wait(submitter.wait_if_claimed(error, &catalog, &mut execution.claim_wait, &limits)).await?;
        self.server.cancel.aim_at_server();
        Ok(waited)
    }
}
