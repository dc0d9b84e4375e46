//! Who reads what: the sources that the group has given to this process, one task each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::PgPool;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio_util::sync::CancellationToken;
use upwrite_connectors::Connector;
use upwrite_event_log::{BootClock, Clock, EventLog, Membership, MembershipEvent};

use crate::observe::Observer;
use crate::source::{Source, read};
use crate::{Config, SyncerError};

/// Reads the sources that `membership` gives, by name, until `shutdown`. `pool` logs in as `upwrite_service`;
/// `connectors` are by source name. A source whose upstream is away is tried again and again, and says so; it
/// disturbs no other.
///
/// # Errors
/// Only what trying again cannot help ([`SyncerError::is_final`]).
pub async fn run(
    config: Config,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    membership: Box<dyn Membership<String>>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    shutdown: CancellationToken,
) -> Result<(), SyncerError> {
    let clock = Arc::new(BootClock::new().map_err(SyncerError::Clock)?);
    run_with(config, pool, log, membership, connectors, clock, shutdown).await
}

/// As [`run`], with the clock given.
pub async fn run_with(
    config: Config,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    mut membership: Box<dyn Membership<String>>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), SyncerError> {
    let observer = Arc::new(Observer::new(pool.clone(), log, clock, config.clock_max_age));
    let mut assignment = Assignment::default();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            Some(ended) = assignment.tasks.join_next_with_id(), if !assignment.tasks.is_empty() => {
                let (task, ended) = match ended {
                    Ok((task, ended)) => (task, ended),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(error) => (error.id(), Ok(())),
                };
                ended?;
                if let Some(source) = assignment.recalled.remove(&task) {
                    membership.give_back(source).await;
                }
            }
            event = membership.changed() => match event {
                MembershipEvent::Assigned(name) => {
                    let Some(connector) = connectors.get(&name) else { continue };
                    let source = Source {
                        pool: pool.clone(),
                        observer: Arc::clone(&observer),
                        connector: Arc::clone(connector),
                    };
                    assignment.begin(name, config.clone(), source);
                }
                MembershipEvent::Recalled(name) => {
                    if let Some(task) = assignment.stop(&name) {
                        assignment.recalled.insert(task, name);
                    } else {
                        membership.give_back(name).await;
                    }
                }
                MembershipEvent::Lost(name) => drop(assignment.stop(&name)),
            },
        }
    }
}

/// The tasks that read. Dropped, they end.
#[derive(Default)]
struct Assignment {
    tasks: JoinSet<Result<(), SyncerError>>,
    reading: BTreeMap<String, AbortHandle>,
    /// Sources whose tasks are being stopped: given back once nothing reads them here any more.
    recalled: HashMap<Id, String>,
}

impl Assignment {
    fn begin(&mut self, name: String, config: Config, source: Source) {
        tracing::info!(source = name, "reading");
        let task = self.tasks.spawn(async move { read(&config, &source).await });
        if let Some(before) = self.reading.insert(name, task) {
            before.abort();
        }
    }

    /// Stops reading a source, wherever that is: the next process goes on from the cursor in Postgres, and reads at worst
    /// some records twice.
    fn stop(&mut self, name: &str) -> Option<Id> {
        let task = self.reading.remove(name)?;
        tracing::info!(source = name, "another process reads this source from now on");
        task.abort();
        Some(task.id())
    }
}
