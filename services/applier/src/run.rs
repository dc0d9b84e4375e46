//! The way in.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use upwrite_connectors::{Budget, Connector};
use upwrite_event_log::{BootClock, Clock, EventLog, Membership};

use crate::engine::{Driver, Environment, Upstream};
use crate::projections::{PgProjections, Projections};
use crate::{ApplierError, Config};

/// Applies the mutations of the partitions that `membership` gives, until `shutdown`; then drains: what is in flight ends
/// within the grace period, and the partitions are given back. `snapshot` logs in as `upwrite_service`; `connectors` by
/// source name; `budgets` likewise, shared with all others that call that source (a source without one gets its own,
/// without a limit).
///
/// Dropping the future is like a crash: nothing goes on behind it, and a later run finds out what happened.
pub async fn run(
    config: Config,
    log: Arc<dyn EventLog>,
    membership: Box<dyn Membership>,
    snapshot: PgPool,
    connectors: HashMap<String, Arc<dyn Connector>>,
    budgets: HashMap<String, Budget>,
    shutdown: CancellationToken,
) -> Result<(), ApplierError> {
    let clock = Arc::new(BootClock::new().map_err(ApplierError::Clock)?);
    let projections = Arc::new(PgProjections::new(snapshot));
    run_with(config, log, membership, projections, connectors, budgets, clock, shutdown).await
}

/// As [`run`], with the clock and the projections given.
#[expect(clippy::too_many_arguments, reason = "each is a part of its own; the caller has them apart")]
pub async fn run_with(
    config: Config,
    log: Arc<dyn EventLog>,
    membership: Box<dyn Membership>,
    projections: Arc<dyn Projections>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    mut budgets: HashMap<String, Budget>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ApplierError> {
    let upstream = |(source, connector): (String, Arc<dyn Connector>)| {
        let budget = budgets.remove(&source).unwrap_or_else(|| Budget::new(None));
        (source, Upstream { connector, budget })
    };
    let upstreams = Arc::new(connectors.into_iter().map(upstream).collect());
    let environment = Environment { config: Arc::new(config), log, projections, clock, upstreams };
    Driver::run(environment, membership, shutdown).await
}
