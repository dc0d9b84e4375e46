//! From the plan of a mutation to its verdict.

use tracing::Instrument as _;

use super::end::End;
use super::execution::{CapturedStatement, Execution, Next};
use super::flight_result::FlightResult;
use super::life::Session;
use super::returnable;
use crate::hold::{Hold, SubmitResult, WaitLimits};
use crate::measure::{self, Presence};
use crate::planning::Plan;
use crate::verdict::Verdict;

impl Session {
    /// Submits the plan, holds the client, and gives it what the verdict says.
    pub(super) async fn mutate(
        &mut self,
        statement: &CapturedStatement,
        execution: &mut Execution,
        run: FlightResult,
        plan: &Plan,
    ) -> Result<Next, End> {
        if let Err(error) = returnable::check(statement, &run, plan) {
            return self.fail(error).await.map(Next::Done);
        }
        let limits = execution.limits(&plan.settings);
        self.server.cancel.aim_at_wait(&execution.cancel);
        let submitter = self.environment.submitter.clone();
        let span = execution.span.submit();
        let submit = submitter.submit(plan, &mut execution.claim_wait, &limits).instrument(span);
        let submitted = self.wait(submit).await.map_err(|end| match end {
            End::Shutdown => End::ShutdownSubmitting,
            other => other,
        })?;
        match submitted {
            Err(error) => {
                execution.span.verdict(&error.sqlstate);
                self.fail(error).await.map(Next::Done)
            }
            Ok(SubmitResult::RunAgain) => Ok(Next::RunAgain),
            Ok(SubmitResult::Accepted(hold)) => {
                let mutation = hold.mutation();
                let span = execution.span.hold(mutation);
                let verdict = self.hold(hold, &limits).instrument(span).await?;
                execution.span.verdict(measure::sqlstate(&verdict));
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
                        self.answer_mutation(statement, run, plan, mutation, success).await
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

    /// Holds the client until there is a verdict.
    async fn hold(&mut self, hold: Hold, limits: &WaitLimits) -> Result<Verdict, End> {
        let mutation = hold.mutation();
        if self.block.open {
            self.block.sent((mutation, hold.partition()));
        }
        let _present = Presence::hold();
        let verdict = self.wait(hold.wait(limits)).await.map_err(|end| match end {
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
}
