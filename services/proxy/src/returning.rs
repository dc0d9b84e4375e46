//! `RETURNING` on the rows as they came to be, and the buffered rows of the dry run where that cannot be.

mod placeholders;
mod rewrite;

pub use placeholders::{FieldShape, Placeholders};
pub use rewrite::{Again, Returning};
