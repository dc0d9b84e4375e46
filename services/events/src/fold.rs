//! The fold over one partition's events: its owner, and its mutations' states. Every stage uses this one.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::transition::{begin, step};
use crate::{Event, IllegalTransition, Lifecycle, MutationId, OwnerId, Position, Transition};

/// How many finished and released mutations are remembered, so that late repeats are known as such.
const REMEMBERED: usize = 65_536;

/// The fold over one partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionFold {
    owner: Option<OwnerId>,
    mutations: HashMap<MutationId, Lifecycle>,
    forgotten: HashSet<MutationId>,
    forgotten_order: VecDeque<MutationId>,
}

impl PartitionFold {
    /// The fold as of a snapshot: the partition's owner and the mutations that were not released.
    pub fn restore(owner: Option<OwnerId>, mutations: impl IntoIterator<Item = (MutationId, Lifecycle)>) -> Self {
        Self { owner, mutations: mutations.into_iter().collect(), ..Self::default() }
    }

    pub fn owner(&self) -> Option<OwnerId> {
        self.owner
    }

    pub fn get(&self, mutation: MutationId) -> Option<&Lifecycle> {
        self.mutations.get(&mutation)
    }

    pub fn iter(&self) -> impl Iterator<Item = (MutationId, &Lifecycle)> {
        self.mutations.iter().map(|(id, lifecycle)| (*id, lifecycle))
    }

    /// Drops a released mutation from memory. Later repeats of its events are still taken as repeats.
    pub fn forget(&mut self, mutation: MutationId) {
        if self.mutations.remove(&mutation).is_some() && self.forgotten.insert(mutation) {
            self.forgotten_order.push_back(mutation);
            if self.forgotten_order.len() > REMEMBERED
                && let Some(oldest) = self.forgotten_order.pop_front()
            {
                self.forgotten.remove(&oldest);
            }
        }
    }

    /// Folds one event in. Total: any event, in any state, in any order, gives a documented answer.
    pub fn apply(&mut self, position: Position, event: &Event) -> Result<Transition, IllegalTransition> {
        if let Event::PartitionTaken(taken) = event {
            return Ok(self.take(taken.owner));
        }
        if let Event::PartitionReleased(released) = event {
            return Ok(self.release(released.owner));
        }
        let Some(mutation) = event.mutation() else { return Ok(Transition::Other) };
        if self.forgotten.contains(&mutation) {
            return Ok(Transition::Repeat(mutation));
        }
        if let Some(owner) = event.owner()
            && self.owner != Some(owner)
        {
            return Ok(Transition::Evidence(mutation));
        }
        match self.mutations.get_mut(&mutation) {
            Some(lifecycle) => {
                let mut next = lifecycle.clone();
                step(&mut next, event)?;
                if next == *lifecycle {
                    return Ok(Transition::Repeat(mutation));
                }
                *lifecycle = next;
            }
            // What clients add afterwards may come when the mutation is long released and forgotten.
            None if matches!(event, Event::RevocationRequested(_) | Event::MutationOutlivedRollback(_)) => {
                return Ok(Transition::Repeat(mutation));
            }
            None => {
                self.mutations.insert(mutation, begin(position, event)?);
            }
        }
        Ok(Transition::Changed(mutation))
    }

    fn take(&mut self, owner: OwnerId) -> Transition {
        if self.owner != Some(owner) {
            // Whatever an owner that did not release the partition had begun may have been sent.
            let in_flight = self.owner.replace(owner).is_some();
            for lifecycle in self.mutations.values_mut().filter(|lifecycle| !lifecycle.phase.is_finished()) {
                lifecycle.maybe_sent |= in_flight;
            }
        }
        Transition::Owner
    }

    fn release(&mut self, owner: OwnerId) -> Transition {
        if self.owner == Some(owner) {
            self.owner = None;
        }
        Transition::Owner
    }
}
