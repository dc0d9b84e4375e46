//! One task a source: first backfills, then reads by id as they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Row as _, types::Json};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use upwrite_connectors::Connector;
use upwrite_event_log::{Change, EventLog, Membership};
use upwrite_events::TableSpec;

use crate::SyncerError;
use crate::backfill::backfill;
use crate::error::doing;
use crate::reread::reread;

/// How the syncer works.
#[derive(Debug, Clone)]
pub struct Config {
    /// How often it looks for records to read again.
    pub reread_poll: Duration,
    /// Pause after a failure; doubles up to `max_pause`.
    pub min_pause: Duration,
    pub max_pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reread_poll: Duration::from_secs(1),
            min_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(30),
        }
    }
}

/// Runs until `shutdown`. `pool` logs in as `upwrite_service`. Sources are shared with the other syncers of the group:
/// item n of `membership` is the n-th source by name. A source whose upstream is away is tried again and again, and
/// says so; it disturbs no other.
pub async fn run(
    config: Config,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    mut membership: Box<dyn Membership>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    shutdown: CancellationToken,
) -> Result<(), SyncerError> {
    let sources: Vec<Arc<dyn Connector>> = connectors.into_iter().collect::<BTreeMap<_, _>>().into_values().collect();
    let mut reading = JoinSet::new();
    let mut mine: HashMap<u16, AbortHandle> = HashMap::new();
    loop {
        let change = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            // One that was stopped is no news.
            Some(ended) = reading.join_next(), if !reading.is_empty() => match ended {
                Ok(Err(error)) => return Err(error),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Ok(Ok(())) | Err(_) => continue,
            },
            change = membership.changed() => change,
        };
        match change {
            Change::Assigned(item) => {
                let Some(connector) = sources.get(usize::from(item)) else { continue };
                let upstream = Upstream { pool: pool.clone(), log: log.clone(), connector: Arc::clone(connector) };
                tracing::info!(source = connector.source(), "reading");
                let config = config.clone();
                mine.insert(item, reading.spawn(async move { source(&config, &upstream).await }));
            }
            // Wherever it is stopped, the next one goes on from the cursor in Postgres, and reads at worst some
            // records twice.
            Change::Recalled(item) | Change::Lost(item) => {
                if let Some(task) = mine.remove(&item) {
                    task.abort();
                    tracing::info!(item, "somebody else reads this source from now on");
                }
                if matches!(change, Change::Recalled(_)) {
                    membership.give_back(item).await;
                }
            }
        }
    }
}

/// All that reading one source takes.
pub(crate) struct Upstream {
    pub(crate) pool: PgPool,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) connector: Arc<dyn Connector>,
}

impl Upstream {
    /// Records that are asked for together.
    pub(crate) fn keys_per_read(&self, spec: &TableSpec) -> i64 {
        i64::try_from(self.connector.capabilities(spec).keys_per_read.max(1)).unwrap_or(i64::MAX)
    }
}

async fn source(config: &Config, upstream: &Upstream) -> Result<(), SyncerError> {
    let mut pause = config.min_pause;
    loop {
        match round(upstream).await {
            Ok(()) => {
                pause = config.min_pause;
                tokio::time::sleep(config.reread_poll).await;
            }
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                tracing::warn!(source = upstream.connector.source(), %error, again_in = ?pause, "reading upstream failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(config.max_pause);
            }
        }
    }
}

/// One table's trouble keeps no other from being read.
async fn round(upstream: &Upstream) -> Result<(), SyncerError> {
    let mut failed = None;
    for spec in specs(&upstream.pool, upstream.connector.source()).await? {
        match table(upstream, &spec).await {
            Ok(()) => {}
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                tracing::debug!(table = %spec.name, %error, "not read");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn table(upstream: &Upstream, spec: &TableSpec) -> Result<(), SyncerError> {
    backfill(upstream, spec).await?;
    while reread(upstream, spec).await? {}
    Ok(())
}

async fn specs(pool: &PgPool, source: &str) -> Result<Vec<TableSpec>, SyncerError> {
    let rows = sqlx::query("/* syncer.specs */ select spec from upwrite.tables where source = $1 order by table_name")
        .bind(source)
        .fetch_all(pool)
        .await
        .map_err(doing("reading the synced tables"))?;
    let specs: sqlx::Result<Vec<TableSpec>> =
        rows.iter().map(|row| row.try_get::<Json<TableSpec>, _>(0).map(|Json(spec)| spec)).collect();
    specs.map_err(doing("reading the synced tables"))
}
