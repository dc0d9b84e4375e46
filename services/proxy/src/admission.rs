//! What it takes to let a client in.

use std::sync::{Arc, OnceLock};

use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::cancel::CancelKeys;
use crate::config::Config;
use crate::session::Environment;
use crate::tls::{Acceptor, Connector};

/// What every new connection needs.
pub(crate) struct Admission {
    pub(crate) config: Config,
    pub(crate) control: PgPool,
    pub(crate) acceptor: Acceptor,
    pub(crate) connector: Connector,
    pub(crate) cancel_keys: CancelKeys,
    /// Of this process only; see [`crate::auth::Verifier::mock`].
    pub(crate) mock_secret: [u8; 32],
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) refusals: Arc<Semaphore>,
    /// Not set before Postgres could be asked for the first time.
    pub(crate) environment: OnceLock<Arc<Environment>>,
}
