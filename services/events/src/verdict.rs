//! What a mutation came to, for its client.

use crate::{Failure, Lifecycle, Phase, RowState};

/// Derived from the rows of the mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With the keys, in row order.
    Applied(Vec<String>),
    /// Definitely nothing was applied.
    Rejected(Failure),
    /// Some rows were applied, and which.
    Partial { applied: Vec<u32>, failure: Option<Failure> },
    /// Nobody can know.
    Unknown(Option<Failure>),
    /// Withdrawn before anything was sent.
    Revoked,
    /// Never counted: not applied.
    Voided,
}

impl Lifecycle {
    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.phase {
            Phase::Requested | Phase::Attempted | Phase::Deferred => None,
            Phase::Applied => Some(Verdict::Applied(self.keys())),
            Phase::Revoked => Some(Verdict::Revoked),
            Phase::Voided => Some(Verdict::Voided),
            Phase::Partial => {
                Some(Verdict::Partial { applied: self.applied().collect(), failure: self.failure.clone() })
            }
            Phase::InDoubt | Phase::Dead => Some(Verdict::Unknown(self.failure.clone())),
            Phase::Rejected => Some(match &self.failure {
                Some(failure) => Verdict::Rejected(failure.clone()),
                None => Verdict::Unknown(None),
            }),
        }
    }

    fn keys(&self) -> Vec<String> {
        self.rows
            .iter()
            .filter_map(|state| match state {
                RowState::Applied(key) => Some(key.clone()),
                _ => None,
            })
            .collect()
    }
}
