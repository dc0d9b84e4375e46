//! The loop: batch after batch, each one transaction. Any passing failure begins again from what Postgres holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{SelectAll, select_all};
use futures::{FutureExt as _, StreamExt as _};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, LogRecord, Membership, Notifier, Subscription, VERDICT_CHANNEL};
use upwrite_events::{Event, MutationId, Stream, TableName};

use crate::batch::{Plan, State};
use crate::columns::ColumnCache;
use crate::error::doing;
use crate::load::{Start, load};
use crate::merge::Image;
use crate::status::Status;
use crate::write::{Mode, merge};
use crate::{Config, ReconcilerError, parked, store, vacuum};

/// How long records that nobody waits for wait for company: mostly the outcome of the same mutation, with a fast
/// upstream, which then shares a transaction with its request instead of waiting for that to end.
const LINGER: Duration = Duration::from_millis(3);
/// When an image that was just parked is tried again for the first time.
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// So many batches of mutations may come before an observation that waits.
const MUTATION_BATCHES_IN_A_ROW: u32 = 16;

/// Runs until `shutdown`, or until beginning again cannot help. `options` log in as `upwrite_reconciler`.
pub async fn run(
    config: Config,
    options: PgConnectOptions,
    log: Arc<dyn EventLog>,
    _membership: Box<dyn Membership>,
    notifier: Notifier,
    shutdown: CancellationToken,
) -> Result<(), ReconcilerError> {
    tokio::select! {
        ended = sessions(&config, &options, &log, &notifier, &shutdown) => ended,
        () = vacuum::keep_vacuumed(options.clone()) => Ok(()),
    }
}

/// Session after session, until one ends for good.
async fn sessions(
    config: &Config,
    options: &PgConnectOptions,
    log: &Arc<dyn EventLog>,
    notifier: &Notifier,
    shutdown: &CancellationToken,
) -> Result<(), ReconcilerError> {
    let mut pause = Duration::from_millis(50);
    loop {
        match session(config, options, log, notifier, shutdown, &mut pause).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, again_in = ?pause, "the reconciler begins again");
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

async fn session(
    config: &Config,
    options: &PgConnectOptions,
    log: &Arc<dyn EventLog>,
    notifier: &Notifier,
    shutdown: &CancellationToken,
    pause: &mut Duration,
) -> Result<(), ReconcilerError> {
    let mut connection = connect(config, options).await?;
    let start = load(&mut connection, log.as_ref()).await?;
    *pause = Duration::from_millis(50);
    let mut reconciler = Reconciler::new(connection, start, notifier.clone());
    let mut mutations = reconciler.subscribe(log, Stream::Mutations);
    let mut observations = reconciler.subscribe(log, Stream::Observations);
    let mut next_retry = Instant::now();
    let mut in_a_row = 0;
    loop {
        // However many mutations come, parked images and observations have their turn.
        if reconciler.some_parked && Instant::now() >= next_retry {
            within(config, reconciler.retry_parked()).await?;
            next_retry = Instant::now() + config.parked_retry;
        }
        if in_a_row >= MUTATION_BATCHES_IN_A_ROW {
            in_a_row = 0;
            if let Some(batch) = observations.next().now_or_never() {
                within(config, reconciler.reconcile(received(batch)?)).await?;
            }
        }
        // Mutations first: a client waits for them.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            batch = mutations.next() => {
                let mut records = received(batch)?;
                let linger = Instant::now() + LINGER;
                while records.len() < config.max_batch {
                    let more = if records.iter().all(nobody_waits_for) {
                        tokio::time::timeout_at(linger, mutations.next()).await.ok()
                    } else {
                        mutations.next().now_or_never()
                    };
                    let Some(more) = more else { break };
                    records.extend(received(more)?);
                }
                if within(config, reconciler.reconcile(records)).await? {
                    // Mostly somebody's dry run, which is over in no time.
                    next_retry = next_retry.min(Instant::now() + FIRST_RETRY);
                }
                in_a_row += 1;
            }
            () = tokio::time::sleep_until(next_retry), if reconciler.some_parked => {}
            batch = observations.next() => {
                within(config, reconciler.reconcile(received(batch)?)).await?;
            }
        }
    }
}

/// Postgres ends a transaction that stalls, unless the connection itself is dead without having been closed.
async fn within<T>(
    config: &Config,
    work: impl Future<Output = Result<T, ReconcilerError>>,
) -> Result<T, ReconcilerError> {
    let silent = |_| doing("waiting for an answer")(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(2 * config.session_timeout, work).await.map_err(silent)?
}

/// Whether the record only begins something.
fn nobody_waits_for(record: &LogRecord) -> bool {
    matches!(
        record.event,
        Ok(Event::MutationRequested(_)
            | Event::MutationAttempted(_)
            | Event::PartitionTaken(_)
            | Event::PartitionReleased(_))
    )
}

fn received(
    batch: Option<Result<Vec<LogRecord>, upwrite_event_log::LogError>>,
) -> Result<Vec<LogRecord>, ReconcilerError> {
    let ended = || upwrite_event_log::LogError::Unavailable("a subscription ended".to_owned());
    Ok(batch.ok_or_else(ended)??)
}

async fn connect(config: &Config, options: &PgConnectOptions) -> Result<PgConnection, ReconcilerError> {
    let millis = |duration: Duration| format!("{}ms", duration.as_millis());
    let session = millis(config.session_timeout);
    let options = options.clone().application_name("upwrite reconciler").options([
        ("lock_timeout", millis(config.lock_timeout)),
        ("idle_in_transaction_session_timeout", session.clone()),
        ("statement_timeout", session),
        ("synchronous_commit", "on".to_owned()),
        // Planning the same few statements for every batch would cost more than running them.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("jit", "off".to_owned()),
        ("datestyle", "ISO, YMD".to_owned()),
        ("intervalstyle", "postgres".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("client_encoding", "UTF8".to_owned()),
    ]);
    PgConnection::connect_with(&options).await.map_err(doing("connecting"))
}

struct Reconciler {
    connection: PgConnection,
    start: Start,
    columns: ColumnCache,
    notifier: Notifier,
    some_parked: bool,
    /// Behind which parked image the next round of trying begins.
    parked_after: i64,
}

impl Reconciler {
    fn new(connection: PgConnection, start: Start, notifier: Notifier) -> Self {
        // There may be parked observations too: look once.
        Self { connection, start, columns: ColumnCache::default(), notifier, some_parked: true, parked_after: 0 }
    }

    fn subscribe(&self, log: &Arc<dyn EventLog>, stream: Stream) -> SelectAll<Subscription> {
        let wanted = self.start.positions.iter().filter(|(partition, _)| partition.stream == stream);
        select_all(wanted.map(|(partition, position)| log.subscribe(*partition, *position)))
    }

    /// Whether images are parked now that none were before.
    async fn reconcile(&mut self, records: Vec<LogRecord>) -> Result<bool, ReconcilerError> {
        let parked_before = self.some_parked;
        let plan = self.start.state.plan(records);
        match self.commit(&plan, Mode::Fast).await {
            Err(ReconcilerError::Database { source: sqlx::Error::Database(error), .. }) => {
                tracing::debug!(%error, "the batch is written row by row");
                self.columns.forget();
                self.commit(&plan, Mode::Careful).await?;
            }
            other => other?,
        }
        Ok(self.some_parked && !parked_before)
    }

    /// The batch's transaction. Nothing in memory changes before it has committed.
    async fn commit(&mut self, plan: &Plan, mode: Mode) -> Result<(), ReconcilerError> {
        let begin =
            if plan.may_be_lost(&self.start.state) { "begin; set local synchronous_commit = off" } else { "begin" };
        let mut tx = self.connection.begin_with(begin).await.map_err(doing("beginning a batch"))?;
        store::claim_early(&mut tx, &plan.early_claims).await?;
        let mut parked: HashMap<MutationId, usize> = HashMap::new();
        let mut rereads = plan.rereads.clone();
        let mut some_parked = self.some_parked;
        let mut shown = store::Shown::default();
        for (table, images) in by_table(&plan.images) {
            let written = merge(&mut tx, &mut self.columns, &table, &images, mode).await?;
            written.shown.iter().for_each(|index| shown.add(&table, &images[*index]));
            for index in written.parked {
                let image = &images[index];
                store::park(&mut tx, &table, image).await?;
                some_parked = true;
                if let Some(mutation) = image.mutation {
                    *parked.entry(mutation).or_default() += 1;
                }
            }
            for conflict in written.conflicts {
                tracing::warn!(%table, sqlstate = conflict.sqlstate, "a row was refused by the synced table");
                store::report_conflict(&mut tx, &table, &images[conflict.index], &conflict).await?;
            }
            rereads.extend(written.rereads.into_iter().map(|key| (table.clone(), key)));
        }
        store::ask_rereads(&mut tx, &rereads).await?;
        store::dead_letters(&mut tx, &plan.dead).await?;
        store::outlived(&mut tx, &plan.outlived).await?;
        let statuses = settle(&self.start.state, &plan.touched, |mutation, before| {
            before + parked.get(&mutation).copied().unwrap_or_default()
        });
        store::finish(&mut tx, &shown, &statuses, &plan.positions, &self.start.epochs).await?;
        tx.commit().await.map_err(doing("committing a batch"))?;
        for (mutation, count) in parked {
            if let Some(tracked) = self.start.state.tracked.get_mut(&mutation) {
                tracked.parked += count;
            }
        }
        self.some_parked = some_parked;
        self.committed(statuses);
        Ok(())
    }

    async fn retry_parked(&mut self) -> Result<(), ReconcilerError> {
        // An error here would count as the row's own, also one from columns that have changed since.
        self.columns.forget();
        let mut tx = self.connection.begin().await.map_err(doing("beginning to retry parked images"))?;
        let tried = parked::retry(&mut tx, &mut self.columns, self.parked_after).await?;
        let touched: Vec<MutationId> = tried.resolved.keys().copied().collect();
        let statuses = settle(&self.start.state, &touched, |mutation, before| {
            before.saturating_sub(tried.resolved.get(&mutation).copied().unwrap_or_default())
        });
        store::hold_epoch(&mut tx, &self.start.epochs).await?;
        store::finish(&mut tx, &tried.shown, &statuses, &store::Positions::new(), &self.start.epochs).await?;
        tx.commit().await.map_err(doing("committing parked images"))?;
        for (mutation, count) in tried.resolved {
            if let Some(tracked) = self.start.state.tracked.get_mut(&mutation) {
                tracked.parked = tracked.parked.saturating_sub(count);
            }
        }
        self.some_parked = tried.some_left;
        self.parked_after = tried.next;
        self.committed(statuses);
        Ok(())
    }

    /// Takes over what is now true, and tells those who wait.
    fn committed(&mut self, statuses: Vec<Status>) {
        for status in statuses {
            let mutation = MutationId(status.id);
            let answered = status.lifecycle.as_ref().is_some_and(|life| life.phase.is_finished());
            if answered {
                self.notifier.notify(VERDICT_CHANNEL, status.id.to_string());
            }
            if status.released {
                self.start.state.tracked.remove(&mutation);
                if let Some(fold) = self.start.state.folds.get_mut(&u16::try_from(status.partition).unwrap_or_default())
                {
                    fold.forget(mutation);
                }
            } else if let Some(tracked) = self.start.state.tracked.get_mut(&mutation) {
                tracked.status = status;
            }
        }
    }
}

/// The touched mutations' rows as they will be, given how many of their images will be parked.
fn settle(state: &State, touched: &[MutationId], parked: impl Fn(MutationId, usize) -> usize) -> Vec<Status> {
    let settled = touched.iter().filter_map(|mutation| {
        let tracked = state.tracked.get(mutation)?;
        let mut status = tracked.status.clone();
        let written = parked(*mutation, tracked.parked) == 0;
        let life = status.lifecycle.as_ref()?;
        status.finished |= written && life.phase.is_finished();
        status.released = written && life.is_released();
        Some(status)
    });
    settled.collect()
}

/// Images by table, tables in one order for every transaction, images in the log's.
fn by_table(images: &[(TableName, Image)]) -> BTreeMap<TableName, Vec<Image>> {
    let mut tables: BTreeMap<TableName, Vec<Image>> = BTreeMap::new();
    for (table, image) in images {
        tables.entry(table.clone()).or_default().push(image.clone());
    }
    tables
}
