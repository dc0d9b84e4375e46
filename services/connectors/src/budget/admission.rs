//! A request asks whether it may go.
//!
//! An applier starts a call only while `lease > now + the request's whole timeout`: then whatever the call sends was
//! sent by an owner. A call that waits for the budget must not weaken that. Two things see to it. The applier *reserves*
//! the token of a call's first request before it starts the call, so that a call that would have to wait is not started
//! and its rows go on gathering company. And further requests of the call (a token of the login host, the repetition
//! after a 401, a read-back) wait within the call's own time limit: the wait counts against the request timeout, which
//! the lease covers, and a request that does not get its token in time is not sent at all.

use std::time::Duration;

use tokio::time::Instant;

use super::priority::{priority, reservation};
use super::{Budget, Priority};

/// How long the requests of one method may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    until: Instant,
    budget_counts: bool,
}

impl TimeLimit {
    /// Of a write: after `length` nothing is sent and no answer awaited, however long the budget took.
    pub fn of_write(length: Duration) -> Self {
        Self { until: Instant::now() + length, budget_counts: true }
    }

    /// Of a read: the time that its requests take. A read may wait for the budget as long as writes go first.
    pub fn of_read(length: Duration) -> Self {
        Self { until: Instant::now() + length, budget_counts: false }
    }

    pub fn until(&self) -> Instant {
        self.until
    }

    /// Until when a request that asks at `asked` waits for its token. At least half of the time is kept for the request
    /// itself: sent with too little of it, a write would most likely end in doubt.
    fn latest_start(&self, asked: Instant) -> Option<Instant> {
        self.budget_counts.then(|| asked + self.until.saturating_duration_since(asked) / 2)
    }
}

/// The budget gives nothing within the time allowed; no byte was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rate budget gives no request within the time allowed")]
pub struct OutOfBudget {
    /// When to ask again.
    pub wait: Duration,
}

impl Budget {
    /// Takes the token of one HTTP request: the one reserved for the work, else one of the budget. To be asked once for
    /// each request, right before it is written to the wire.
    pub async fn admit(&self, limit: &mut TimeLimit) -> Result<(), OutOfBudget> {
        if let Some(reservation) = reservation(self) {
            reservation.spend();
            return Ok(());
        }
        let asked = Instant::now();
        self.wait_for_turn(priority(), limit.latest_start(asked)).await?;
        if !limit.budget_counts {
            limit.until += asked.elapsed();
        }
        Ok(())
    }

    async fn wait_for_turn(&self, priority: Priority, latest: Option<Instant>) -> Result<(), OutOfBudget> {
        while let Err(wait) = self.try_take(priority) {
            if latest.is_some_and(|latest| Instant::now() + wait > latest) {
                return Err(OutOfBudget { wait });
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_priority;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_request_uses_what_was_reserved_and_the_next_ones_take_their_own() {
        let budget = Budget::new(Some(1.0));
        let reserved = budget.try_reserve(Priority::Write).unwrap();
        assert!(budget.try_take(Priority::Write).is_err());
        let begun = Instant::now();
        with_priority(Priority::Write, Some(reserved), async {
            let mut limit = TimeLimit::of_write(10 * SECOND);
            budget.admit(&mut limit).await.unwrap();
            assert_eq!(begun.elapsed(), Duration::ZERO);
            budget.admit(&mut limit).await.unwrap();
            assert!(begun.elapsed() >= SECOND, "{:?}", begun.elapsed());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_used_is_given_back() {
        let (budget, other) = (Budget::new(Some(0.01)), Budget::new(Some(0.01)));
        let reserved = budget.try_reserve(Priority::Write).unwrap();
        with_priority(Priority::Write, Some(reserved), async {
            other.admit(&mut TimeLimit::of_write(SECOND)).await.unwrap();
        })
        .await;
        assert!(budget.try_take(Priority::Write).is_ok(), "another source's request has not used it");
        assert!(budget.try_reserve(Priority::Write).is_err());
        assert!(other.try_reserve(Priority::Write).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_waits_within_its_time_and_is_not_sent_late() {
        let budget = Budget::new(Some(1.0));
        budget.pause(8 * SECOND);
        let begun = Instant::now();
        let admitted = with_priority(Priority::Write, None, budget.admit(&mut TimeLimit::of_write(10 * SECOND))).await;
        assert_eq!(admitted, Err(OutOfBudget { wait: 8 * SECOND }));
        assert_eq!(begun.elapsed(), Duration::ZERO, "what cannot come in time is not waited for");
        let mut limit = TimeLimit::of_write(20 * SECOND);
        with_priority(Priority::Write, None, budget.admit(&mut limit)).await.unwrap();
        assert_eq!(limit.until() - begun, 20 * SECOND, "the wait counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_waits_as_long_as_it_takes_and_keeps_its_time() {
        let budget = Budget::new(Some(1.0));
        budget.pause(3_600 * SECOND);
        let begun = Instant::now();
        let mut limit = TimeLimit::of_read(10 * SECOND);
        budget.admit(&mut limit).await.unwrap();
        assert!(begun.elapsed() >= 3_600 * SECOND);
        assert!(limit.until() - Instant::now() >= 10 * SECOND);
    }
}
