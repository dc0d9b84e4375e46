//! `RETURNING`: evaluated again on the reconciled rows, or the dry run's rows with real keys.

mod placeholders;
mod reevaluation;

pub use placeholders::{FieldShape, Placeholders};
pub use reevaluation::{Reevaluation, Returning};
