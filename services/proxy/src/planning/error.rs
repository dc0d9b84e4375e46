//! Why a dry run has no plan.

use crate::error::PgError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// The snapshot does not know the relation or its columns as they are: refresh it and plan the same images again (once;
    /// [`PlanError::into_error`] if it does not help).
    StaleCatalog(String),
    /// For the client; nothing was sent.
    Refused(PgError),
}

impl PlanError {
    pub fn into_error(self) -> PgError {
        match self {
            Self::StaleCatalog(what) => PgError::error("XX000", format!("captured change cannot be read: {what}")),
            Self::Refused(error) => error,
        }
    }
}
