//! What can be made to go wrong, in one set of words, and how it is chosen: by header, by rule, by chance.

mod chaos;
mod rule;
mod words;

pub use chaos::Chaos;
pub use rule::{FaultMatch, FaultRule};
pub(crate) use rule::{Faults, Subject};
pub use words::Fault;
