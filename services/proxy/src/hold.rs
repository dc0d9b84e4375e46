//! Submitting a mutation and holding its client until the verdict.
//!
//! A held client costs an entry in a map: one task of the process listens for verdicts, and every second reads the status
//! of all that is held, so a lost notification costs a second, never a verdict. Sessions that wait for a claimed record
//! stand in one queue per record; only the head runs its statement again.

mod duplicate;
mod gate;
mod held;
mod limits;
mod news;
mod queues;
mod shared;
mod turn;

pub use gate::{Gate, Submit};
pub use held::Held;
pub use limits::Limits;
pub use turn::Turn;
