//! One term: from taking partitions over, which raises their epochs, through batch after batch, each one transaction,
//! until the assignment changes or something fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::ready;
use futures::stream::{BoxStream, SelectAll, once, select_all};
use futures::{FutureExt as _, StreamExt as _};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, LogError, LogRecord};
use upwrite_events::{Event, Partition, Position, Stream};

use crate::assignment::{Assignment, Urgency};
use crate::environment::Environment;
use crate::error::doing;
use crate::load::{Start, load};
use crate::reconcile::Reconciler;
use crate::{Config, ReconcilerError, voids};

/// How long records that no client waits for are kept back, so that others can share their transaction: mostly the outcome
/// of the same mutation, with a fast upstream, which would otherwise wait for the request's transaction to end. Two
/// appends and a call between them fit in on either engine; only the visibility of the request is delayed.
const LINGER: Duration = Duration::from_millis(20);
/// When an image that was just parked is tried again for the first time.
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// How many batches of mutations may go before an observation that waits.
const MUTATION_BATCHES_IN_A_ROW: u32 = 16;
/// How often the log repeats that a partition stands still.
const REMIND: Duration = Duration::from_secs(60);

/// How a term ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) reason: Result<EndReason, ReconcilerError>,
    /// Whether a batch was committed.
    pub(crate) worked: bool,
}

/// Why a term ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Shutdown,
    /// The process has other partitions now.
    Reassigned,
}

/// What the subscription of a partition delivers.
type Delivery = (Partition, Result<Vec<LogRecord>, LogError>);

pub(crate) struct Term {
    reconciler: Reconciler,
    mutations: SelectAll<BoxStream<'static, Delivery>>,
    observations: SelectAll<BoxStream<'static, Delivery>>,
    /// Partitions that stand still, and why.
    halted: BTreeMap<Partition, String>,
    items: Vec<i16>,
    max_batch: usize,
    next_retry: Instant,
    next_look: Instant,
    next_reminder: Instant,
    in_a_row: u32,
    worked: bool,
}

impl Term {
    /// Takes the partitions over.
    pub(crate) async fn begin(environment: &Environment, items: &BTreeSet<u16>) -> Result<Self, ReconcilerError> {
        let mut connection = connect(&environment.config, &environment.options).await?;
        let start = load(&mut connection, environment.log.as_ref(), items).await?;
        tracing::info!(partitions = ?items, unreleased = start.state.tracked.len(), "reconciling");
        let feed = |stream| feed(environment.log.as_ref(), &start, stream);
        let (mutations, observations) = (feed(Stream::Mutations), feed(Stream::Observations));
        let now = Instant::now();
        Ok(Self {
            reconciler: Reconciler::new(connection, start, environment),
            mutations,
            observations,
            halted: BTreeMap::new(),
            items: items.iter().filter_map(|item| i16::try_from(*item).ok()).collect(),
            max_batch: environment.config.max_batch,
            next_retry: now,
            next_look: now + environment.config.void_check,
            next_reminder: now + REMIND,
            in_a_row: 0,
            worked: false,
        })
    }

    pub(crate) async fn work(
        mut self,
        environment: &Environment,
        assignment: &mut Assignment,
        shutdown: &CancellationToken,
    ) -> End {
        let items = self.items.clone();
        let Environment { config, options, log, .. } = environment;
        let reason = tokio::select! {
            ended = self.batches(config, assignment, shutdown) => ended,
            () = voids::keep_voided(config, options, log.as_ref(), &items) => Ok(EndReason::Reassigned),
        };
        End { reason, worked: self.worked }
    }

    async fn batches(
        &mut self,
        config: &Config,
        assignment: &mut Assignment,
        shutdown: &CancellationToken,
    ) -> Result<EndReason, ReconcilerError> {
        loop {
            if shutdown.is_cancelled() {
                return Ok(EndReason::Shutdown);
            }
            if assignment.has_changed() {
                return Ok(EndReason::Reassigned);
            }
            let Some(due) = self.due(assignment, shutdown).await else { continue };
            let is_batch = matches!(due, Due::Mutations(_) | Due::Observations(_));
            let Some(()) = unless_lost(config, assignment, self.run(config, due)).await? else {
                return Ok(EndReason::Reassigned);
            };
            self.worked |= is_batch;
        }
    }

    /// Waits for the next thing to do. Cancels nothing that has begun.
    async fn due(&mut self, assignment: &mut Assignment, shutdown: &CancellationToken) -> Option<Due> {
        // However many mutations come, parked images and observations have their turn.
        if self.reconciler.some_parked() && Instant::now() >= self.next_retry {
            return Some(Due::Parked);
        }
        if self.in_a_row >= MUTATION_BATCHES_IN_A_ROW {
            self.in_a_row = 0;
            if let Some(Some(delivery)) = self.observations.next().now_or_never() {
                return Some(Due::Observations(delivery));
            }
        }
        let some_parked = self.reconciler.some_parked();
        // Mutations first: a client waits for them.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            _ = assignment.changes() => None,
            Some(delivery) = self.mutations.next() => Some(Due::Mutations(delivery)),
            () = tokio::time::sleep_until(self.next_retry), if some_parked => Some(Due::Parked),
            () = tokio::time::sleep_until(self.next_look) => Some(Due::Look),
            Some(delivery) = self.observations.next() => Some(Due::Observations(delivery)),
        }
    }

    async fn run(&mut self, config: &Config, due: Due) -> Result<(), ReconcilerError> {
        match due {
            Due::Parked => {
                self.reconciler.retry_parked().await?;
                self.next_retry = Instant::now() + config.parked_retry;
            }
            Due::Mutations(delivery) => {
                let records = self.gather(delivery).await?;
                if self.reconciler.reconcile(records).await? {
                    // Mostly a dry run, which is over in no time.
                    self.next_retry = self.next_retry.min(Instant::now() + FIRST_RETRY);
                }
                self.in_a_row += 1;
            }
            Due::Observations(delivery) => {
                let records = self.records_of(delivery)?;
                self.reconciler.reconcile(records).await?;
            }
            Due::Look => {
                self.remind();
                self.reconciler.forget_voided(config.void_retention).await?;
                self.next_look = Instant::now() + config.void_check;
            }
        }
        Ok(())
    }

    /// A batch of mutations, with those that come in time to share its transaction.
    async fn gather(&mut self, first: Delivery) -> Result<Vec<LogRecord>, ReconcilerError> {
        let mut records = self.records_of(first)?;
        let mut linger = Instant::now() + LINGER;
        if self.reconciler.some_parked() {
            linger = linger.min(self.next_retry);
        }
        while records.len() < self.max_batch {
            let more = if records.iter().all(nobody_waits_for) {
                tokio::time::timeout_at(linger, self.mutations.next()).await.ok()
            } else {
                self.mutations.next().now_or_never()
            };
            let Some(Some(more)) = more else { break };
            records.extend(self.records_of(more)?);
        }
        Ok(records)
    }

    /// Events that only a newer version can read stop their partition; any other error ends the term.
    fn records_of(&mut self, (partition, delivery): Delivery) -> Result<Vec<LogRecord>, ReconcilerError> {
        match delivery {
            Ok(records) => Ok(records),
            Err(LogError::Newer(reason)) => {
                tracing::error!(%partition, %reason, "the partition stands still until this program is as new");
                self.reconciler.reporter().halted(partition, &reason);
                self.halted.insert(partition, reason);
                Ok(Vec::new())
            }
            Err(_) if self.halted.contains_key(&partition) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn remind(&mut self) {
        if Instant::now() < self.next_reminder {
            return;
        }
        self.next_reminder = Instant::now() + REMIND;
        for (partition, reason) in &self.halted {
            tracing::error!(%partition, %reason, "the partition stands still until this program is as new");
        }
    }
}

/// What a term has to do.
enum Due {
    Mutations(Delivery),
    Observations(Delivery),
    Parked,
    /// Now and then: voids that need not be remembered any more, reminders.
    Look,
}

/// The streams of all partitions as one, which ends with the last of them. None of them may end without an error.
fn feed(log: &dyn EventLog, start: &Start, stream: Stream) -> SelectAll<BoxStream<'static, Delivery>> {
    let wanted = start.positions.iter().filter(|(partition, _)| partition.stream == stream);
    select_all(wanted.map(|(partition, position): (&Partition, &Position)| {
        let partition = *partition;
        let ended = LogError::Unavailable(format!("the subscription of {partition} ended"));
        let delivery = log.subscribe(partition, *position).chain(once(ready(Err(ended))));
        delivery.map(move |batch| (partition, batch)).boxed()
    }))
}

/// Does the work unless a partition is lost meanwhile: then it is dropped, and its transaction with it. Postgres ends a
/// transaction that stalls, unless the connection itself is dead without having been closed: hence the time limit.
async fn unless_lost<T>(
    config: &Config,
    assignment: &mut Assignment,
    work: impl Future<Output = Result<T, ReconcilerError>>,
) -> Result<Option<T>, ReconcilerError> {
    let limit = tokio::time::sleep(2 * config.session_timeout);
    tokio::pin!(work, limit);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.map(Some),
            urgency = assignment.changes() => if urgency == Urgency::AtOnce {
                return Ok(None);
            },
            () = &mut limit => {
                return Err(doing("waiting for an answer")(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
            }
        }
    }
}

/// Whether the record only begins something.
fn nobody_waits_for(record: &LogRecord) -> bool {
    match &record.event {
        Ok(event) => match event {
            Event::MutationRequested(_)
            | Event::MutationAttempted(_)
            | Event::PartitionTaken(_)
            | Event::PartitionReleased(_) => true,
            Event::MutationVoided(_)
            | Event::RevocationRequested(_)
            | Event::MutationRevoked(_)
            | Event::MutationApplied(_)
            | Event::MutationRejected(_)
            | Event::MutationDeferred(_)
            | Event::MutationInDoubt(_)
            | Event::MutationSettled(_)
            | Event::MutationDead(_)
            | Event::MutationRedriven(_)
            | Event::MutationOutlivedRollback(_)
            | Event::RecordsObserved(_) => false,
        },
        Err(_) => false,
    }
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
