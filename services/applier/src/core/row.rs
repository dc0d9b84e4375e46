//! What is known of one row of a mutation, and what that asks for next. Pure: every rule about resending is here.
//!
//! A row is *lost* from the moment at which an answer did not come (or a predecessor may have sent it) until a look-up
//! shows what became of it. While it is lost nothing that upstream says is a verdict: a duplicate, a not-found or a refused validation
//! may be the echo of our own first attempt. "Not there" tells only once no attempt can take effect late any more.

use std::time::Duration;

use upwrite_connectors::{Idempotency, RetryRule, UpstreamError};
use upwrite_event_log::Moment;
use upwrite_events::{Failure, MutationId, Outcome, Row};

use super::failures;

/// What upstream showed of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) key: String,
    pub(crate) image: Option<Row>,
    pub(crate) vendor_version: Option<String>,
    /// Already in Postgres's clock.
    pub(crate) interval: upwrite_events::Interval,
}

/// What a look-up says about one row's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// The record is as the change wants it.
    Done(Seen),
    /// The record is as it was before the change.
    NotDone,
    /// The record is neither (another change came in between), or several fit: that cannot be known.
    Unclear(Option<Seen>),
}

/// How a row ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conclusion {
    Applied { seen: Seen, keep_claims: bool },
    Rejected(Failure),
    InDoubt(Failure),
}

/// What a row needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowStep {
    Conclude(Box<Conclusion>),
    Send,
    LookUp,
    Wait(Moment),
    /// Known not to be applied, and the client wants it withdrawn.
    Revocable,
}

/// What a step depends on beside the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) mutation: MutationId,
    pub(crate) idempotency: Idempotency,
    pub(crate) now: Moment,
    pub(crate) deadline: Moment,
    pub(crate) max_sends: u32,
    /// The client wants the mutation withdrawn: nothing new is sent.
    pub(crate) revoke: bool,
    /// Another row of the mutation ended badly: nothing new is sent.
    pub(crate) stop: Option<&'a Failure>,
}

/// One row's state.
#[derive(Debug, Clone)]
pub(crate) struct RowJob {
    lost: bool,
    /// Until then an attempt whose answer was lost can take effect. Never taken back: claims rest on it.
    late_until: Option<Moment>,
    look: Option<(Moment, Look)>,
    /// A definite refusal, not yet a verdict where an earlier attempt may have been applied.
    refusal: Option<Failure>,
    last: Option<Failure>,
    send_after: Moment,
    look_after: Moment,
    sends: u32,
    failed_looks: u32,
    /// Refused only for another row's sake: not to be packed with others again.
    pub(crate) alone: bool,
}

impl RowJob {
    /// Never sent by anybody.
    pub(crate) fn fresh(not_before: Moment) -> Self {
        Self {
            lost: false,
            late_until: None,
            look: None,
            refusal: None,
            last: None,
            send_after: not_before,
            look_after: not_before,
            sends: 0,
            failed_looks: 0,
            alone: false,
        }
    }

    /// A predecessor may have sent it; what it sent can take effect until `late_until`.
    pub(crate) fn taken_over(now: Moment, send_after: Moment, late_until: Moment) -> Self {
        Self { lost: true, late_until: Some(late_until), look_after: now, ..Self::fresh(send_after) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(crate) fn late_until(&self) -> Option<Moment> {
        self.late_until
    }

    pub(crate) fn sends(&self) -> u32 {
        self.sends
    }

    pub(crate) fn last_failure(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// What to do next.
    pub(crate) fn step(&self, facts: &Facts<'_>) -> RowStep {
        if self.lost { self.step_lost(facts) } else { self.step_known(facts) }
    }

    /// Every attempt is known not to have been applied.
    fn step_known(&self, facts: &Facts<'_>) -> RowStep {
        if let Some(refusal) = &self.refusal {
            return rejected(refusal.clone());
        }
        if let Some(stop) = facts.stop {
            return rejected(failures::not_sent_after(stop));
        }
        if facts.revoke {
            return RowStep::Revocable;
        }
        let tried = self.sends > 0 || self.late_until.is_some();
        let too_late = facts.now.max(self.send_after) >= facts.deadline;
        if tried && (too_late || self.sends >= facts.max_sends) {
            return rejected(failures::given_up(self.last.as_ref(), self.sends));
        }
        if facts.now < self.send_after {
            return RowStep::Wait(self.send_after);
        }
        RowStep::Send
    }

    /// Some attempt may have been applied, or may be yet.
    fn step_lost(&self, facts: &Facts<'_>) -> RowStep {
        let until = self.late_until.unwrap_or(facts.now);
        let in_doubt = || {
            let failure = failures::unknown_outcome(facts.mutation, self.last.as_ref());
            RowStep::Conclude(Box::new(Conclusion::InDoubt(failure)))
        };
        let wait = |moment: Moment| RowStep::Wait(moment.min(facts.deadline.max(facts.now)));
        let too_late = facts.now >= facts.deadline;
        match (&self.look, facts.idempotency) {
            (_, Idempotency::None) => in_doubt(),
            // Upstream answers a known key with its first answer: sending again is the look-up.
            (_, Idempotency::Header) if too_late || self.sends >= facts.max_sends || facts.stop.is_some() => in_doubt(),
            (_, Idempotency::Header) if facts.now < self.send_after => RowStep::Wait(self.send_after),
            (_, Idempotency::Header) => RowStep::Send,
            (None, _) if too_late && (self.failed_looks > 0 || facts.now < self.look_after) => in_doubt(),
            (None, _) if facts.now < self.look_after => wait(self.look_after),
            (None, _) => RowStep::LookUp,
            (Some((begun, Look::Done(seen))), _) => {
                RowStep::Conclude(Box::new(Conclusion::Applied { seen: seen.clone(), keep_claims: *begun < until }))
            }
            (Some((_, Look::Unclear(_))), _) => in_doubt(),
            (Some((_, Look::NotDone)), idempotency) => {
                let may_resend = resend_is_safe(idempotency)
                    && self.refusal.is_none()
                    && facts.stop.is_none()
                    && !facts.revoke
                    && self.sends < facts.max_sends;
                if too_late {
                    in_doubt()
                } else if may_resend && facts.now >= self.send_after {
                    RowStep::Send
                } else if may_resend {
                    wait(self.send_after)
                } else if facts.now >= until {
                    RowStep::LookUp
                } else {
                    wait(until)
                }
            }
        }
    }

    /// The row is part of a call that is being made.
    pub(crate) fn sent(&mut self) {
        self.sends = self.sends.saturating_add(1);
        self.look = None;
    }

    /// The call was never made after all.
    pub(crate) fn not_sent(&mut self) {
        self.sends = self.sends.saturating_sub(1);
    }

    /// Upstream accepted it. `begun`: when the call began; claims stay if an earlier attempt can still take effect.
    pub(crate) fn applied(&self, seen: Seen, begun: Moment) -> Conclusion {
        Conclusion::Applied { seen, keep_claims: self.late_until.is_some_and(|until| begun < until) }
    }

    /// The call failed for this row. `late_until`: until when it can take effect if its answer was lost.
    pub(crate) fn failed(&mut self, error: &UpstreamError, now: Moment, late_until: Moment, delay: Duration) {
        self.last = Some(error.failure.clone());
        let retry_after = match error.retry {
            RetryRule::Never | RetryRule::Alone => now,
            RetryRule::Backoff => now + delay,
            RetryRule::After(wait) => now + wait,
        };
        self.send_after = retry_after;
        self.alone |= error.retry == RetryRule::Alone;
        if error.failure.outcome != Outcome::NotApplied {
            self.lost = true;
            self.look = None;
            self.late_until = self.late_until.max(Some(late_until));
            // The first look is worth taking at once, but a source in trouble is not to be hammered.
            self.look_after = match error.retry {
                RetryRule::After(wait) => now + wait,
                _ if self.sends > 1 => now + delay,
                _ => now,
            };
            return;
        }
        if error.retry == RetryRule::Never {
            self.refusal = Some(error.failure.clone());
            // Once lost, even long ago: what is refused now may be refused because it is already there.
            self.lost = self.late_until.is_some();
        }
        if self.lost {
            self.look = None;
            self.look_after = retry_after;
        }
    }

    /// A look-up that began at `begun` showed this. "Not done" is final only if nothing can take effect late.
    pub(crate) fn looked(&mut self, begun: Moment, look: Look) {
        self.failed_looks = 0;
        let nothing_late = self.late_until.is_none_or(|until| begun >= until);
        if look == Look::NotDone && nothing_late {
            self.lost = false;
            self.look = None;
        } else {
            self.look = Some((begun, look));
        }
    }

    /// The look-up itself failed.
    pub(crate) fn look_failed(&mut self, error: &UpstreamError, now: Moment, delay: Duration) {
        self.failed_looks = self.failed_looks.saturating_add(1);
        self.look = None;
        self.look_after = match error.retry {
            RetryRule::After(wait) => now + wait,
            _ => now + delay,
        };
    }

    pub(crate) fn failed_looks(&self) -> u32 {
        self.failed_looks
    }
}

fn rejected(failure: Failure) -> RowStep {
    RowStep::Conclude(Box::new(Conclusion::Rejected(failure)))
}

/// Whether a row that a look-up did not find may be sent again although an earlier attempt may still land.
fn resend_is_safe(idempotency: Idempotency) -> bool {
    match idempotency {
        Idempotency::Header | Idempotency::UpsertKey | Idempotency::ClientId | Idempotency::Natural => true,
        Idempotency::Probe | Idempotency::None => false,
    }
}
