//! Submitting a mutation and holding its client until the verdict.

mod gate;
mod held;
mod limits;

pub use gate::{Gate, Submit, Turn};
pub use held::Held;
pub use limits::Limits;
