//! Which statement waits for which record. One queue per claimed record, first come first served; the head runs again when
//! the record's claim is released. No statement waits in two queues or has a claim while it waits: no deadlock among them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use upwrite_event_log::Claim;
use upwrite_events::MutationId;

#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: HashMap<Claim, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The unfinished mutation that has the claim, as far as is known here.
    claimant: Option<MutationId>,
    waiters: VecDeque<Arc<Waiter>>,
}

/// One statement in a queue.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    /// Notified when the waiter may have become the head, or the claim was released.
    pub(super) turn: Notify,
}

impl Queues {
    /// One of the claims for which there is a queue.
    pub(super) fn occupied<'a>(&self, claims: &'a [Claim]) -> Option<&'a Claim> {
        if self.queues.is_empty() {
            return None;
        }
        claims.iter().find(|claim| self.queues.contains_key(claim))
    }

    /// Goes to the end of the queue. `claimant`: who has the claim, if that is known.
    pub(super) fn join(&mut self, claim: &Claim, claimant: Option<MutationId>) -> Arc<Waiter> {
        let queue = self.queues.entry(claim.clone()).or_default();
        queue.claimant = claimant.or(queue.claimant);
        let waiter = Arc::new(Waiter::default());
        queue.waiters.push_back(waiter.clone());
        waiter
    }

    /// The head learnt that another mutation has the claim (again).
    pub(super) fn claimed_by(&mut self, claim: &Claim, claimant: MutationId) {
        if let Some(queue) = self.queues.get_mut(claim) {
            queue.claimant = Some(claimant);
        }
    }

    /// Leaves, with the claim if the mutation `accepted` now has it. The next one is notified.
    pub(super) fn leave(&mut self, claim: &Claim, waiter: &Arc<Waiter>, accepted: Option<MutationId>) {
        let Some(queue) = self.queues.get_mut(claim) else { return };
        queue.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        queue.claimant = accepted.or(queue.claimant);
        match queue.waiters.front() {
            Some(head) => head.turn.notify_one(),
            None => drop(self.queues.remove(claim)),
        }
    }

    /// How many statements wait.
    pub(super) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.waiters.len()).sum()
    }

    /// Whether it is this waiter's turn.
    pub(super) fn may_go(&self, claim: &Claim, waiter: &Arc<Waiter>) -> bool {
        let Some(queue) = self.queues.get(claim) else { return true };
        queue.claimant.is_none() && queue.waiters.front().is_some_and(|head| Arc::ptr_eq(head, waiter))
    }

    /// The mutations that are waited for.
    pub(super) fn claimants(&self) -> HashSet<MutationId> {
        self.queues.values().filter_map(|queue| queue.claimant).collect()
    }

    /// These mutations have no claims any more.
    pub(super) fn released(&mut self, mutations: &HashSet<MutationId>) {
        for queue in self.queues.values_mut() {
            if queue.claimant.is_some_and(|claimant| mutations.contains(&claimant)) {
                queue.claimant = None;
                if let Some(head) = queue.waiters.front() {
                    head.turn.notify_one();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use upwrite_event_log::ClaimKey;
    use upwrite_events::TableName;
    use uuid::Uuid;

    use super::*;

    fn claim() -> Claim {
        Claim { table: TableName::new("sf", "contact"), key: ClaimKey("id=1".into()) }
    }

    fn mutation(number: u128) -> MutationId {
        MutationId(Uuid::from_u128(number))
    }

    #[test]
    fn only_the_head_goes_and_only_when_the_claim_is_released() {
        let (mut queues, claim) = (Queues::default(), claim());
        assert_eq!(queues.occupied(std::slice::from_ref(&claim)), None);
        let first = queues.join(&claim, Some(mutation(1)));
        let second = queues.join(&claim, None);
        assert_eq!(queues.occupied(std::slice::from_ref(&claim)), Some(&claim));
        assert!(!queues.may_go(&claim, &first));

        queues.released(&HashSet::from([mutation(9)]));
        assert!(!queues.may_go(&claim, &first));
        queues.released(&HashSet::from([mutation(1)]));
        assert!(queues.may_go(&claim, &first) && !queues.may_go(&claim, &second));

        queues.leave(&claim, &first, Some(mutation(2)));
        assert!(!queues.may_go(&claim, &second), "the first has the claim now");
        assert_eq!(queues.claimants(), HashSet::from([mutation(2)]));
        queues.released(&HashSet::from([mutation(2)]));
        assert!(queues.may_go(&claim, &second));
        queues.leave(&claim, &second, None);
        assert!(queues.queues.is_empty());
    }

    #[test]
    fn who_gives_up_does_not_stop_the_others() {
        let (mut queues, claim) = (Queues::default(), claim());
        let waiters: Vec<_> = (0..3).map(|_| queues.join(&claim, Some(mutation(1)))).collect();
        queues.leave(&claim, &waiters[1], None);
        queues.leave(&claim, &waiters[0], None);
        assert!(!queues.may_go(&claim, &waiters[2]));
        queues.released(&HashSet::from([mutation(1)]));
        assert!(queues.may_go(&claim, &waiters[2]));
    }

    #[test]
    fn a_head_that_meets_another_claimant_waits_on() {
        let (mut queues, claim) = (Queues::default(), claim());
        let first = queues.join(&claim, Some(mutation(1)));
        queues.released(&HashSet::from([mutation(1)]));
        assert!(queues.may_go(&claim, &first));
        queues.claimed_by(&claim, mutation(2));
        assert!(!queues.may_go(&claim, &first));
    }
}
