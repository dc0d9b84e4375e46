//! The driver: partitions and their leases, concurrency, timers, shutdown. One task owns all state; calls, look-ups
//! and appends run beside it and report back. What to do is the stepper's business (`core`).

mod advance;
mod answers;
mod append;
mod appending;
mod assignments;
mod call_metrics;
mod call_trace;
mod calls;
mod completion;
mod dispatch;
mod drain;
mod ingest;
mod intake;
mod lanes;
mod marker;
mod partition;
mod publish;
mod refresh;
mod settle;
mod start;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use futures::future::OptionFuture;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Clock, EventLog, LogError, LogRecord, Membership, Moment, PgClock};
use upwrite_events::MutationId;
use uuid::Uuid;

use crate::backoff_delay::Delays;
use crate::core::{Job, Limits};
use crate::projections::Projections;
use crate::{ApplierError, Config};
use assignments::Assignment;
use completion::Completion;
use lanes::Lanes;
use partition::Ownership;
use upstream::Tables;

pub(crate) use upstream::Upstream;

/// Batches of log records between the readers and the driver.
const LOG_BATCHES: usize = 64;
/// Finished mutations of one source whose rows are read back at the same time.
const SETTLING: usize = 4;

/// What the driver works with.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) config: Arc<Config>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) projections: Arc<dyn Projections>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstreams: Arc<HashMap<String, Upstream>>,
}

/// One time that we have had a partition. Whatever was begun in it belongs to it and to no later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Term(pub(crate) u64);

/// A mutation at hand, in one term: an earlier one may still wait for what it has in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobId {
    pub(crate) term: Term,
    pub(crate) mutation: MutationId,
}

impl JobId {
    fn all_of(term: Term) -> RangeInclusive<Self> {
        Self { term, mutation: MutationId(Uuid::nil()) }..=Self { term, mutation: MutationId(Uuid::max()) }
    }
}

/// From a reader of the log.
type Read = (Term, Option<Result<Vec<LogRecord>, LogError>>);

/// A mutation at hand, and what is being done about it.
struct Slot {
    job: Job,
    state: SlotState,
    /// Counts the tickets drawn, so that an old one is known as such.
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// A timer or an event will come.
    Idle,
    /// In a lane.
    Queued,
    /// Waits for the partition's lease to be renewed.
    WaitsForLease,
    /// A call, look-up or append is under way.
    Busy,
}

/// One source's traffic.
struct Source {
    lanes: Lanes,
    in_flight: usize,
    /// A timer for the budget is set.
    waits_for_budget: bool,
    /// Read-backs, which must not wait for another source's.
    settling: Arc<Semaphore>,
}

impl Default for Source {
    fn default() -> Self {
        let settling = Arc::new(Semaphore::new(SETTLING));
        Self { lanes: Lanes::default(), in_flight: 0, waits_for_budget: false, settling }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Timer {
    Job(JobId),
    Source(String),
    /// A partition stands still.
    Halted(u16),
    /// Metrics and status.
    Publish,
}

/// Ordered maps: what runs by a seed must run the same again.
pub(crate) struct Driver {
    environment: Environment,
    delays: Delays,
    limits: Limits,
    tables: Arc<Tables>,
    pg_clock: PgClock,
    membership: Box<dyn Membership>,
    /// What the membership has given us, by partition.
    assignments: BTreeMap<u16, Assignment>,
    /// What we have ended, for the membership to give to others.
    returned: Vec<u16>,
    terms: BTreeMap<Term, Ownership>,
    terms_begun: u64,
    slots: BTreeMap<JobId, Slot>,
    /// Mutations of tables that are not known yet, until the tables have been read again.
    awaiting_tables: Vec<intake::Intake>,
    sources: BTreeMap<String, Source>,
    timers: BTreeMap<(Moment, u64), Timer>,
    timers_set: u64,
    /// Everything under way. Dropped with the driver: nothing goes on behind its back.
    tasks: JoinSet<Completion>,
    readers: JoinSet<()>,
    sender: mpsc::Sender<Read>,
    reads: mpsc::Receiver<Read>,
    /// Since when shutdown is asked for.
    draining: Option<Moment>,
}

impl Driver {
    /// Takes the partitions that the membership gives until `shutdown`, then drains. An error means that going on could
    /// do harm.
    pub(crate) async fn run(
        environment: Environment,
        membership: Box<dyn Membership>,
        shutdown: CancellationToken,
    ) -> Result<(), ApplierError> {
        let delays = Delays::new(&environment.config);
        let pg_clock = tokio::select! {
            biased;
            pg_clock = refresh::first_sample(&environment, &delays) => pg_clock,
            () = shutdown.cancelled() => return Ok(()),
        };
        let mut driver = Self::new(environment, membership, delays, pg_clock);
        driver.sample_clock_later();
        driver.publish();
        driver.work(shutdown).await
    }

    fn new(environment: Environment, membership: Box<dyn Membership>, delays: Delays, pg_clock: PgClock) -> Self {
        let (sender, reads) = mpsc::channel(LOG_BATCHES);
        Self {
            delays,
            limits: Limits { max_sends: environment.config.max_attempts.max(1) },
            tables: Arc::default(),
            pg_clock,
            membership,
            assignments: BTreeMap::new(),
            returned: Vec::new(),
            terms: BTreeMap::new(),
            terms_begun: 0,
            slots: BTreeMap::new(),
            awaiting_tables: Vec::new(),
            sources: BTreeMap::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            tasks: JoinSet::new(),
            readers: JoinSet::new(),
            sender,
            reads,
            draining: None,
            environment,
        }
    }

    async fn work(mut self, shutdown: CancellationToken) -> Result<(), ApplierError> {
        loop {
            self.dispatch();
            self.end_terms();
            for number in std::mem::take(&mut self.returned) {
                self.membership.give_back(number).await;
            }
            if self.drained() {
                return Ok(());
            }
            let now = self.environment.clock.now();
            let next = self.next_timer();
            let clock = Arc::clone(&self.environment.clock);
            let timer = OptionFuture::from(next.map(|moment| clock.sleep_until(moment)));
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.draining.is_none() => self.shut_down(now),
                event = self.membership.changed() => self.changed(event),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done)?,
                    // A bug, and something would wait for ever: stop as by a crash, which is always safe.
                    Err(error) => if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    },
                },
                // Readers that were stopped.
                Some(_) = self.readers.join_next() => {}
                Some(read) = self.reads.recv() => self.ingest(read)?,
                Some(()) = timer => self.fire(),
            }
        }
    }

    fn next_timer(&self) -> Option<Moment> {
        let timer = self.timers.first_key_value().map(|((moment, _), _)| *moment);
        let draining = self.terms.values().filter_map(|ownership| ownership.draining).chain(self.draining).min();
        [timer, draining.map(|since| since + self.environment.config.grace)].into_iter().flatten().min()
    }

    fn set_timer(&mut self, at: Moment, timer: Timer) {
        self.timers_set += 1;
        self.timers.insert((at, self.timers_set), timer);
    }

    /// Handles every timer that is due.
    fn fire(&mut self) {
        let now = self.environment.clock.now();
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Timer::Job(id) => self.advance(id),
                Timer::Halted(number) => self.complain(number),
                Timer::Publish => self.publish(),
                Timer::Source(name) => {
                    if let Some(source) = self.sources.get_mut(&name) {
                        source.waits_for_budget = false;
                    }
                }
            }
        }
    }
}
