//! Who waits for which record. One queue per claimed record, first come first served; the head runs again when the
//! record's claim is released. Nobody waits in two queues, and nobody holds a claim while waiting: no deadlock among them.

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
    holder: Option<MutationId>,
    places: VecDeque<Arc<Place>>,
}

/// One session's place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Told when the place may have become the head, or the claim was released.
    pub(super) turn: Notify,
}

impl Queues {
    /// One of the claims that somebody already waits for.
    pub(super) fn occupied<'a>(&self, claims: &'a [Claim]) -> Option<&'a Claim> {
        if self.queues.is_empty() {
            return None;
        }
        claims.iter().find(|claim| self.queues.contains_key(claim))
    }

    /// Goes to the end of the queue. `holder`: who has the claim, if that is news.
    pub(super) fn join(&mut self, claim: &Claim, holder: Option<MutationId>) -> Arc<Place> {
        let queue = self.queues.entry(claim.clone()).or_default();
        queue.holder = holder.or(queue.holder);
        let place = Arc::new(Place::default());
        queue.places.push_back(place.clone());
        place
    }

    /// The head learnt that somebody else has the claim (again).
    pub(super) fn held_by(&mut self, claim: &Claim, holder: MutationId) {
        if let Some(queue) = self.queues.get_mut(claim) {
            queue.holder = Some(holder);
        }
    }

    /// Leaves, with the claim if the mutation `accepted` now has it. The next one is told.
    pub(super) fn leave(&mut self, claim: &Claim, place: &Arc<Place>, accepted: Option<MutationId>) {
        let Some(queue) = self.queues.get_mut(claim) else { return };
        queue.places.retain(|other| !Arc::ptr_eq(other, place));
        queue.holder = accepted.or(queue.holder);
        match queue.places.front() {
            Some(head) => head.turn.notify_one(),
            None => drop(self.queues.remove(claim)),
        }
    }

    /// Whether it is this place's turn.
    pub(super) fn may_go(&self, claim: &Claim, place: &Arc<Place>) -> bool {
        let Some(queue) = self.queues.get(claim) else { return true };
        queue.holder.is_none() && queue.places.front().is_some_and(|head| Arc::ptr_eq(head, place))
    }

    /// The mutations that are waited for.
    pub(super) fn holders(&self) -> HashSet<MutationId> {
        self.queues.values().filter_map(|queue| queue.holder).collect()
    }

    /// These mutations have no claims any more.
    pub(super) fn released(&mut self, mutations: &HashSet<MutationId>) {
        for queue in self.queues.values_mut() {
            if queue.holder.is_some_and(|holder| mutations.contains(&holder)) {
                queue.holder = None;
                if let Some(head) = queue.places.front() {
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
        assert_eq!(queues.holders(), HashSet::from([mutation(2)]));
        queues.released(&HashSet::from([mutation(2)]));
        assert!(queues.may_go(&claim, &second));
        queues.leave(&claim, &second, None);
        assert!(queues.queues.is_empty());
    }

    #[test]
    fn who_gives_up_does_not_stop_the_others() {
        let (mut queues, claim) = (Queues::default(), claim());
        let places: Vec<_> = (0..3).map(|_| queues.join(&claim, Some(mutation(1)))).collect();
        queues.leave(&claim, &places[1], None);
        queues.leave(&claim, &places[0], None);
        assert!(!queues.may_go(&claim, &places[2]));
        queues.released(&HashSet::from([mutation(1)]));
        assert!(queues.may_go(&claim, &places[2]));
    }

    #[test]
    fn a_head_that_meets_another_holder_waits_on() {
        let (mut queues, claim) = (Queues::default(), claim());
        let first = queues.join(&claim, Some(mutation(1)));
        queues.released(&HashSet::from([mutation(1)]));
        assert!(queues.may_go(&claim, &first));
        queues.held_by(&claim, mutation(2));
        assert!(!queues.may_go(&claim, &first));
    }
}
