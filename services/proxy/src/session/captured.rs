//! A statement that may write a synced table: dry run, log, hold.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Session;
use super::answer::Answer;
use super::end::End;
use super::flight::{Excess, Returned};
use super::own::{QUERY, Step};
use crate::capture::{self, CaptureError, Captured, DryRun, Plan};
use crate::classify::Capture;
use crate::error::PgError;
use crate::hold::{Held, Limits, Submit, Turn};
use crate::returning::Returning;
use crate::verdict::{Success, Verdict};
use crate::wire::{Bind, Frame, error_fields};

/// What is to be run.
pub(super) struct Job {
    /// The portal that the client executes; the proxy's own for a simple query.
    pub(super) portal: Bytes,
    /// The Bind that made it.
    pub(super) bind: Frame,
    /// A simple query: its text.
    pub(super) query: Option<Bytes>,
    pub(super) capture: Box<Capture>,
    pub(super) max_rows: i32,
}

/// State of one statement over all its dry runs.
struct Attempt {
    started: Instant,
    turn: Turn,
    limits: Option<Limits>,
    cancel: CancellationToken,
    /// Roll back in the same flight.
    known: bool,
    /// The portal must be bound again.
    again: bool,
}

/// What a dry run comes to.
enum Step1 {
    Again,
    Done(Option<Answer>),
}

impl Session {
    /// `None`: the client has been told an error, and what it sends up to its next Sync is skipped.
    pub(super) async fn captured(&mut self, job: &Job) -> Result<Option<Answer>, End> {
        let mut attempt = Attempt {
            started: Instant::now(),
            turn: Turn::default(),
            limits: None,
            cancel: CancellationToken::new(),
            known: job.capture.known_target.is_some(),
            again: false,
        };
        let answer = loop {
            match self.attempt(job, &mut attempt).await? {
                Step1::Again => attempt.again = true,
                Step1::Done(answer) => break answer,
            }
            self.cancel.aim_at_server();
        };
        self.cancel.aim_at_server();
        Ok(answer)
    }

    async fn attempt(&mut self, job: &Job, attempt: &mut Attempt) -> Result<Step1, End> {
        let in_block = self.block.open;
        // Rolling back in the flight would take along what the pipeline did before.
        let inside = attempt.known && (in_block || self.block.executed == 0);
        let mut run = self.dry_run(job, attempt.again, inside).await?;
        if run.skipped {
            return Ok(Step1::Done(None));
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
                self.fail(error).await.map(Step1::Done)
            }
            Ok(Captured::Nothing) if inside && run.counted() > 0 => {
                // Another relation than the snapshot knew: what was rolled back must count.
                attempt.known = false;
                Ok(Step1::Again)
            }
            Ok(Captured::Nothing) => self.keep(job, inside, run).await,
            Ok(Captured::Unchanged) => {
                self.undo(inside).await?;
                Ok(Step1::Done(self.answer_dry(job, run).await?))
            }
            Ok(Captured::Mutation(_)) if job.capture.dry => {
                self.undo(inside).await?;
                Ok(Step1::Done(self.answer_dry(job, run).await?))
            }
            Ok(Captured::Mutation(plan)) => {
                self.undo(inside).await?;
                self.mutate(job, attempt, run, &plan).await
            }
        }
    }

    async fn dry_run(&mut self, job: &Job, again: bool, inside: bool) -> Result<Returned, End> {
        let in_block = self.block.open;
        let needs_types = matches!(
            job.capture.plain.as_ref().and_then(|plain| plain.returning.as_ref()),
            Some(Returning::Again(list)) if !list.params.is_empty()
        );
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
    async fn keep(&mut self, job: &Job, inside: bool, run: Returned) -> Result<Step1, End> {
        if !inside && self.block.open {
            self.flight(Excess::Drop, |requests| requests.call(Step::Release, &[])).await?;
        } else if !inside {
            self.block.executed += 1;
        }
        Ok(Step1::Done(self.answer_dry(job, run).await?))
    }

    async fn plan(&mut self, run: &Returned, in_block: bool) -> Result<Captured, PgError> {
        let dry_run = DryRun {
            images: &run.images,
            session: run.session.as_deref().unwrap_or_default(),
            mark: in_block.then(|| run.mark.as_deref().unwrap_or_default()),
        };
        match capture::plan(&dry_run, &self.shared.catalog.current()) {
            Err(CaptureError::StaleCatalog(what)) => {
                tracing::debug!(what, "the catalog is stale");
                let catalog = self.shared.catalog.refresh().await.map_err(|error| {
                    tracing::warn!(%error, "the catalog could not be read");
                    PgError::error("57P03", "the catalog of synced tables cannot be read now")
                })?;
                capture::plan(&dry_run, &catalog).map_err(CaptureError::into_error)
            }
            planned => planned.map_err(CaptureError::into_error),
        }
    }

    async fn dry_run_failed(
        &mut self,
        attempt: &mut Attempt,
        inside: bool,
        run: &Returned,
        step: Step,
        frame: &Frame,
    ) -> Result<Step1, End> {
        let in_block = self.block.open;
        let error = error_fields(frame);
        // What the pipeline did before cannot be run again.
        let alone = in_block || self.block.executed == 0;
        if step == Step::Statement && alone && self.may_be_claimed(&error) {
            if !in_block {
                self.recover(inside).await?;
                self.names.lose_portals();
            }
            match self.wait_for_claim(attempt, &error).await? {
                Ok(true) => return Ok(Step1::Again),
                Ok(false) => {}
                Err(error) => return self.fail(error).await.map(Step1::Done),
            }
            if in_block {
                // The savepoint took the error along; the transaction must fail as it would have.
                self.raise().await?;
            }
        } else if inside && !in_block {
            self.recover(true).await?;
            self.names.lose_portals();
        }
        run.notices.iter().for_each(|notice| self.link.client.send(notice));
        self.link.client.send(&frame.raw);
        self.skipping = true;
        Ok(Step1::Done(None))
    }

    /// A duplicate in a synced table may be of a record that is on its way to be deleted or renamed.
    fn may_be_claimed(&self, error: &PgError) -> bool {
        let (Some(schema), Some(table)) = (&error.schema, &error.table) else {
            return false;
        };
        let name = upwrite_events::TableName::new(schema, table);
        error.sqlstate == "23505" && self.shared.catalog.current().by_name(&name).is_some()
    }

    async fn wait_for_claim(
        &mut self,
        attempt: &mut Attempt,
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
                requests.read_session();
            })
            .await?;
        let limits = match self.limits(attempt, read.session.as_deref().unwrap_or_default()) {
            Ok(limits) => limits,
            Err(error) => return Ok(Err(error)),
        };
        self.cancel.aim_at_wait(&attempt.cancel);
        let gate = self.shared.gate.clone();
        let catalog = self.shared.catalog.current();
        let waited = self.wait(gate.wait_if_claimed(error, &catalog, &mut attempt.turn, &limits)).await?;
        self.cancel.aim_at_server();
        Ok(waited)
    }

    fn limits(&self, attempt: &mut Attempt, session: &str) -> Result<Limits, PgError> {
        if let Some(limits) = &attempt.limits {
            return Ok(limits.clone());
        }
        let session = capture::Session::read(session)?;
        let limits = Limits::new(attempt.started, &session, attempt.cancel.clone());
        attempt.limits = Some(limits.clone());
        Ok(limits)
    }

    async fn mutate(
        &mut self,
        job: &Job,
        attempt: &mut Attempt,
        run: Returned,
        plan: &Plan,
    ) -> Result<Step1, End> {
        if let Err(error) = self.check_answer(job, &run, plan) {
            return self.fail(error).await.map(Step1::Done);
        }
        let limits = match self.limits(attempt, run.session.as_deref().unwrap_or_default()) {
            Ok(limits) => limits,
            Err(error) => return self.fail(error).await.map(Step1::Done),
        };
        self.cancel.aim_at_wait(&attempt.cancel);
        let gate = self.shared.gate.clone();
        match self.wait(gate.submit(plan, &mut attempt.turn, &limits)).await? {
            Err(error) => self.fail(error).await.map(Step1::Done),
            Ok(Submit::RunAgain) => Ok(Step1::Again),
            Ok(Submit::Accepted(held)) => {
                let mutation = held.mutation();
                match self.hold(held, &limits).await? {
                    Verdict::Success(success) => {
                        self.cancel.aim_at_nothing();
                        self.answer_mutation(job, run, plan, mutation, success).await.map(Step1::Done)
                    }
                    Verdict::Failure(error) => self.fail(error).await.map(Step1::Done),
                }
            }
        }
    }

    async fn hold(&mut self, held: Held, limits: &Limits) -> Result<Verdict, End> {
        let mutation = held.mutation();
        if self.block.open {
            self.block.sent((mutation, held.partition()));
        }
        let verdict = self.wait(held.wait(limits)).await.map_err(|end| match end {
            End::ServerGone => End::ServerGoneHeld(mutation),
            End::Shutdown => End::ShutdownHeld(mutation),
            other => other,
        })?;
        if matches!(&verdict, Verdict::Failure(error) if error.sqlstate != "40003") {
            self.block.withdrawn(mutation);
        }
        Ok(verdict)
    }

    /// The statement fails. Where the client's transaction has done something, it fails in the server, too.
    pub(super) async fn fail(&mut self, error: PgError) -> Result<Option<Answer>, End> {
        if self.block.open || self.block.executed > 0 {
            self.raise().await?;
        }
        self.link.client.send(&error.frame());
        self.skipping = true;
        Ok(None)
    }

    /// Refuses a statement of which nothing was sent.
    pub(super) async fn refuse(&mut self, error: PgError) -> Result<(), End> {
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

    pub(super) fn job(&mut self, portal: &Bytes, max_rows: i32) -> Option<Job> {
        let found = self.names.portals.get(portal)?;
        let capture = super::names::capture(&Arc::clone(&found.statements))?.clone();
        Some(Job { portal: portal.clone(), bind: found.bind.clone(), query: None, capture: Box::new(capture), max_rows })
    }
}

impl Session {
    /// Settings that a mutation leaves, without waiting for the reply.
    pub(super) fn note_last_mutation(&mut self, mutation: upwrite_events::MutationId) {
        self.requests().call(Step::Unattended, &[mutation.to_string().as_bytes()]);
    }

    pub(super) fn success_warning(&mut self, success: &Success) {
        if let Some(warning) = &success.warning {
            self.link.client.send(&warning.frame());
        }
    }
}
