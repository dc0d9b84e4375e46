//! Which of what was read is news. Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use prost::Message as _;
use uuid::Uuid;

use crate::v1::Mutation;

/// Released mutations whose last form is remembered, so that they are not sent twice.
const REMEMBERED: usize = 4_096;

/// The last form of each mutation that a caller was sent.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Of those that are not released. Bounded by what is read at once.
    open: HashMap<Uuid, u64>,
    released: HashMap<Uuid, u64>,
    order: VecDeque<Uuid>,
}

impl Changes {
    /// Whether it is not as it was when it was asked about last.
    pub(super) fn is_news(&mut self, mutation: &Mutation) -> bool {
        let Ok(id) = mutation.id.parse::<Uuid>() else { return false };
        let mut hasher = DefaultHasher::new();
        mutation.encode_to_vec().hash(&mut hasher);
        let form = hasher.finish();
        if !mutation.released {
            return self.open.insert(id, form) != Some(form);
        }
        self.open.remove(&id);
        let before = self.released.insert(id, form);
        if before.is_none() {
            self.order.push_back(id);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.released.remove(&oldest);
            }
        }
        before != Some(form)
    }

    /// Those that were open and are not among `open` any more.
    pub(super) fn ended(&mut self, open: &[Mutation]) -> Vec<Uuid> {
        let open: HashSet<Uuid> = open.iter().filter_map(|mutation| mutation.id.parse().ok()).collect();
        let ended: Vec<Uuid> = self.open.keys().filter(|id| !open.contains(id)).copied().collect();
        for id in &ended {
            self.open.remove(id);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutation(id: u128, state: &str, released: bool) -> Mutation {
        Mutation { id: Uuid::from_u128(id).to_string(), state: state.into(), released, ..Default::default() }
    }

    #[test]
    fn the_same_is_sent_once() {
        let mut changes = Changes::default();
        assert!(changes.is_news(&mutation(1, "requested", false)));
        assert!(!changes.is_news(&mutation(1, "requested", false)));
        assert!(changes.is_news(&mutation(1, "attempted", false)));
        assert!(changes.is_news(&mutation(1, "applied", true)));
        assert!(!changes.is_news(&mutation(1, "applied", true)));
    }

    #[test]
    fn what_ended_is_asked_for_once() {
        let mut changes = Changes::default();
        changes.is_news(&mutation(1, "requested", false));
        changes.is_news(&mutation(2, "requested", false));
        assert_eq!(changes.ended(&[mutation(2, "requested", false)]), [Uuid::from_u128(1)]);
        assert!(changes.ended(&[mutation(2, "requested", false)]).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut changes = Changes::default();
        for id in 0..u128::try_from(REMEMBERED + 10).unwrap() {
            changes.is_news(&mutation(id, "applied", true));
        }
        assert_eq!((changes.released.len(), changes.order.len()), (REMEMBERED, REMEMBERED));
        assert!(changes.is_news(&mutation(0, "applied", true)), "forgotten");
    }
}
