//! From the plan of a mutation to its verdict.

use tracing::Instrument as _;
use upwrite_events::MutationId;

use super::end::End;
use super::execution::{Attempt, CapturedStatement, Next};
use super::flight_result::Returned;
use super::life::Session;
use super::returnable;
use super::step::Step;
use crate::capture::Plan;
use crate::hold::{Held, Limits, Submit};
use crate::measure::{self, Present};
use crate::verdict::{Success, Verdict};

impl Session {
    pub(super) async fn mutate(
        &mut self,
        job: &CapturedStatement,
        attempt: &mut Attempt,
        run: Returned,
        plan: &Plan,
    ) -> Result<Next, End> {
        if let Err(error) = returnable::check(job, &run, plan) {
            return self.fail(error).await.map(Next::Done);
        }
        let limits = attempt.limits(&plan.session);
        self.server.cancel.aim_at_wait(&attempt.cancel);
        let gate = self.environment.gate.clone();
        let span = attempt.traced.submit();
        let submit = gate.submit(plan, &mut attempt.turn, &limits).instrument(span);
        let submitted = self.wait(submit).await.map_err(|end| match end {
            End::Shutdown => End::ShutdownSubmitting,
            other => other,
        })?;
        match submitted {
            Err(error) => {
                attempt.traced.told(&error.sqlstate);
                self.fail(error).await.map(Next::Done)
            }
            Ok(Submit::RunAgain) => Ok(Next::RunAgain),
            Ok(Submit::Accepted(held)) => {
                let mutation = held.mutation();
                let span = attempt.traced.hold(mutation);
                let verdict = self.hold(held, &limits).instrument(span).await?;
                attempt.traced.told(measure::sqlstate(&verdict));
                let undone = matches!(&verdict, Verdict::Failure(error) if error.sqlstate != "40003");
                if !undone {
                    self.state.begin_answer();
                }
                let answered = match verdict {
                    Verdict::Success(success) => {
                        self.server.cancel.aim_at_nothing();
                        if !self.block.open {
                            self.block.applied_alone(mutation, &success.keys);
                        }
                        self.answer_mutation(job, run, plan, mutation, success).await
                    }
                    Verdict::Failure(error) => self.fail(error).await,
                };
                self.state.end_answer();
                answered.map(Next::Done).map_err(|end| match end {
                    End::ServerGone if !undone => End::ServerGoneHeld(mutation),
                    other => other,
                })
            }
        }
    }

    pub(super) async fn hold(&mut self, held: Held, limits: &Limits) -> Result<Verdict, End> {
        let mutation = held.mutation();
        if self.block.open {
            self.block.sent((mutation, held.partition()));
        }
        let _present = Present::hold();
        let verdict = self.wait(held.wait(limits)).await.map_err(|end| match end {
            End::ServerGone => End::ServerGoneHeld(mutation),
            End::Shutdown => End::ShutdownHeld(mutation),
            other => other,
        })?;
        measure::verdict(&verdict);
        if matches!(&verdict, Verdict::Failure(error) if error.sqlstate != "40003") {
            self.block.withdrawn(mutation);
        }
        Ok(verdict)
    }

    /// Settings that a mutation leaves, without waiting for the reply.
    pub(super) fn note_last_mutation(&mut self, mutation: MutationId) {
        self.server.requests().call(Step::Unattended, &[mutation.to_string().as_bytes()]);
    }

    pub(super) fn success_warning(&mut self, success: &Success) {
        if let Some(warning) = &success.warning {
            self.client.send(&warning.frame());
        }
    }
}
