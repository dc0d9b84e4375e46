//! What the process gives to a reconciler, whichever partitions it has.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use upwrite_event_log::{EventLog, Notifier};

use crate::Config;

pub(crate) struct Environment {
    pub(crate) config: Config,
    /// Log in as `upwrite_reconciler`.
    pub(crate) options: PgConnectOptions,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) notifier: Notifier,
}
