//! `RETURNING` on the rows as they came to be, and the buffered rows of the dry run where that cannot be.

mod placeholders;
mod reevaluation;

pub(crate) use placeholders::is_placeholder;
pub use placeholders::{FieldShape, Placeholders};
pub use reevaluation::{Reevaluation, Returning};
