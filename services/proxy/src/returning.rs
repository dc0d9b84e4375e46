//! `RETURNING`: evaluated again on the reconciled rows, or the dry run's rows with real keys.

mod placeholders;
mod reevaluation;

pub(crate) use placeholders::is_placeholder;
pub use placeholders::{FieldShape, Placeholders};
pub use reevaluation::{Reevaluation, Returning};
