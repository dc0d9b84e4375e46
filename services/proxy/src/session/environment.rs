//! What all sessions of a process share.

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogCache;
use crate::classify::Classifier;
use crate::config::LimitsConfig;
use crate::hold::Submitter;

pub(crate) struct Environment {
    pub(crate) control: PgPool,
    /// The database of the control connection: the only one with synced tables.
    pub(crate) database: String,
    pub(crate) catalog: CatalogCache,
    pub(crate) classifier: Classifier,
    pub(crate) submitter: Submitter,
    pub(crate) limits: LimitsConfig,
    /// Sessions end as soon as they are idle.
    pub(crate) shutdown: CancellationToken,
    /// Sessions end now.
    pub(crate) grace_over: CancellationToken,
}
