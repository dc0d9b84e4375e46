//! The applier on doubles, in virtual time: start it, ask things of it, kill it, wait for what the log says.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upwrite_applier::{ApplierError, Config, ProjectionError, Projections, Snapshot, run_with};
use upwrite_connectors::{Budget, Connector};
use upwrite_event_log::{Clock, EventLog, Membership, Moment, SoleMember, partition_for};
use upwrite_events::{
    Event, Lifecycle, MutationId, MutationRequested, Op, Partition, Position, RevocationRequested, Row, RowChange,
    Stream, TableName, TableSpec,
};
use uuid::Uuid;

use super::group::{Dealer, dealt};
use super::log::MemoryLog;
use super::tables::{KEYED, NOTHING, NUMBERED, PROBED, table};
use super::world::World;

/// 2026-01-01, in Unix microseconds: where virtual time starts.
const EPOCH_US: i64 = 1_767_225_600_000_000;

#[derive(Clone)]
struct VirtualClock {
    start: Instant,
    /// How long the machine slept, milliseconds: no timer saw that.
    suspended_ms: Arc<AtomicU64>,
}

impl VirtualClock {
    fn suspended(&self) -> Duration {
        Duration::from_millis(self.suspended_ms.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Moment {
        Moment(Instant::now() - self.start + self.suspended())
    }

    fn unix_us(&self) -> i64 {
        EPOCH_US + i64::try_from(self.now().0.as_micros()).unwrap()
    }

    async fn sleep_until(&self, moment: Moment) {
        tokio::time::sleep_until(self.start + moment.0.saturating_sub(self.suspended())).await;
    }
}

/// What a reconciler that has read up to some position would have written.
struct Folded {
    log: Arc<MemoryLog>,
    clock: VirtualClock,
    /// How many records of each partition it is behind.
    behind: Arc<AtomicUsize>,
}

#[async_trait]
impl Projections for Folded {
    async fn snapshot(&self, number: u16) -> Result<Snapshot, ProjectionError> {
        let end = self.log.all(number).len().saturating_sub(self.behind.load(Ordering::Relaxed));
        let fold = self.log.folded(number, end);
        // As a reconciler that writes a mutation's row only when an event speaks of that mutation.
        let unreleased = self.log.written(number, end).into_iter().filter(|(_, life)| !life.is_released());
        let mut unreleased: Vec<_> = unreleased.collect();
        unreleased.sort_by_key(|(id, _)| *id);
        Ok(Snapshot { position: Position(end as i64), owner: fold.owner(), unreleased, tables: self.tables().await? })
    }

    async fn tables(&self) -> Result<Vec<TableSpec>, ProjectionError> {
        Ok([KEYED, PROBED, NOTHING, NUMBERED].map(table).to_vec())
    }

    async fn now_us(&self) -> Result<i64, ProjectionError> {
        Ok(self.clock.unix_us())
    }
}

pub(crate) struct Bench {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) world: Arc<World>,
    pub(crate) config: Config,
    behind: Arc<AtomicUsize>,
    clock: VirtualClock,
}

/// An applier at work.
pub(crate) struct Running {
    task: JoinHandle<Result<(), ApplierError>>,
    shutdown: CancellationToken,
    brake: Arc<Mutex<Brake>>,
}

#[derive(Default)]
struct Brake {
    shut: bool,
    waker: Option<Waker>,
}

/// Does not get on while the brake is shut.
async fn braked<T>(run: impl Future<Output = T>, brake: Arc<Mutex<Brake>>) -> T {
    let mut run = pin!(run);
    poll_fn(|context| {
        {
            let mut brake = brake.lock().unwrap();
            brake.waker = Some(context.waker().clone());
            if brake.shut {
                return Poll::Pending;
            }
        }
        run.as_mut().poll(context)
    })
    .await
}

impl Running {
    /// As SIGSTOP: it does nothing, and time goes on.
    pub(crate) fn pause(&self) {
        self.brake.lock().unwrap().shut = true;
    }

    /// As SIGCONT.
    pub(crate) fn resume(&self) {
        let mut brake = self.brake.lock().unwrap();
        brake.shut = false;
        if let Some(waker) = brake.waker.take() {
            waker.wake();
        }
    }

    /// As `kill -9`: nothing of it runs on, what it sent is under way.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// As SIGTERM.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl Bench {
    pub(crate) fn new(partitions: u16, seed: u64) -> Self {
        Self::with_budget(partitions, seed, Budget::new(None))
    }

    pub(crate) fn with_budget(partitions: u16, seed: u64, budget: Budget) -> Self {
        let config = Config { backoff_jitter: 0.0, ..Config::default() };
        let clock = VirtualClock { start: Instant::now(), suspended_ms: Arc::default() };
        Self {
            log: MemoryLog::new(partitions, seed),
            world: World::new(seed, budget),
            config,
            behind: Arc::default(),
            clock,
        }
    }

    /// The machine sleeps: clocks go on, timers do not.
    pub(crate) fn suspend(&self, length: Duration) {
        self.clock.suspended_ms.fetch_add(length.as_millis() as u64, Ordering::Relaxed);
    }

    /// How far the reconciler is behind at the next start.
    pub(crate) fn reconciler_behind(&self, records: usize) {
        self.behind.store(records, Ordering::Relaxed);
    }

    /// The only member of its group, for all it knows.
    pub(crate) fn start(&self) -> Running {
        self.join(Box::new(SoleMember::new(self.log.partitions())))
    }

    /// With the first partition, and whatever else is dealt to it.
    pub(crate) fn start_with_first(&self) -> (Running, Dealer) {
        let (dealer, membership) = dealt();
        dealer.assign(0);
        (self.join(membership), dealer)
    }

    pub(crate) fn start_with_nothing(&self) -> (Running, Dealer) {
        let (dealer, membership) = dealt();
        (self.join(membership), dealer)
    }

    pub(crate) fn join(&self, membership: Box<dyn Membership>) -> Running {
        let shutdown = CancellationToken::new();
        let connector: Arc<dyn Connector> = self.world.clone();
        let projections =
            Folded { log: Arc::clone(&self.log), clock: self.clock.clone(), behind: Arc::clone(&self.behind) };
        let run = run_with(
            self.config.clone(),
            self.log.clone(),
            membership,
            Arc::new(projections),
            HashMap::from([("sim".to_owned(), connector)]),
            HashMap::from([("sim".to_owned(), self.world.budget.clone())]),
            Arc::new(self.clock.clone()),
            shutdown.clone(),
        );
        let brake = Arc::new(Mutex::new(Brake::default()));
        Running { task: tokio::spawn(braked(run, Arc::clone(&brake))), shutdown, brake }
    }

    /// Appends a request.
    pub(crate) async fn ask(&self, id: u128, rows: Vec<RowChange>) -> Asked {
        let mutation = MutationId(Uuid::from_u128(id));
        let first = rows.first().expect("a request has rows");
        let partition = partition_for(Stream::Mutations, &first.table, &first.key, self.log.partitions());
        let requested_at_us = self.clock.unix_us();
        let request = MutationRequested::new(mutation, rows).at(requested_at_us).from_client("app", "ann", "test");
        self.append(partition, Event::MutationRequested(request)).await;
        Asked { mutation, partition, log: Arc::clone(&self.log) }
    }

    /// Until it is in the log.
    pub(crate) async fn append(&self, partition: Partition, event: Event) {
        // A lost acknowledgement: it is there.
        let _ = self.log.append(partition, vec![event]).await;
    }
}

/// A mutation, as its client sees it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) mutation: MutationId,
    pub(crate) partition: Partition,
    log: Arc<MemoryLog>,
}

impl Asked {
    pub(crate) fn life(&self) -> Lifecycle {
        self.log.life(self.partition.number, self.mutation).expect("requested")
    }

    /// The events of this mutation, by name.
    pub(crate) fn story(&self) -> Vec<&'static str> {
        let events = self.log.events(self.partition.number);
        events.iter().filter(|event| event.mutation() == Some(self.mutation)).map(Event::name).collect()
    }

    /// Waits until the log says so; gives up after `limit` of virtual time.
    pub(crate) async fn until(&self, limit: Duration, wanted: impl Fn(&Lifecycle) -> bool) -> Lifecycle {
        let mut changes = self.log.changes();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let life = self.life();
                if wanted(&life) {
                    return life;
                }
                changes.changed().await.unwrap();
            }
        };
        let Ok(life) = tokio::time::timeout(limit, wait).await else {
            panic!("{} waits for ever: {:?}, {:?}", self.mutation, self.story(), self.life())
        };
        life
    }

    pub(crate) async fn finished(&self) -> Lifecycle {
        self.until(Duration::from_secs(3600), |life| life.phase.is_finished()).await
    }

    pub(crate) async fn released(&self) -> Lifecycle {
        self.until(Duration::from_secs(3600), Lifecycle::is_released).await
    }

    pub(crate) async fn revoke(&self, bench: &Bench) {
        let event = RevocationRequested { mutation: self.mutation, reason: "hold_timeout".into() };
        bench.append(self.partition, Event::RevocationRequested(event)).await;
    }

    pub(crate) fn idempotency_key(&self, row: u32) -> String {
        self.mutation.idempotency_key(row)
    }
}

/// A row that is new, with values that no other has.
pub(crate) fn insert(table: &str, id: u128, row: u32) -> RowChange {
    RowChange {
        table: TableName::new("sim", table),
        op: Op::Insert,
        key: format!("pending:{id}-{row}"),
        version: None,
        changed: Row::from([("tag".to_owned(), Some(format!("{id}-{row}")))]),
        old: Row::new(),
    }
}

/// `n` of one record, from one value to the next.
pub(crate) fn update(table: &str, key: &str, from: u64, to: u64) -> RowChange {
    let n = |value: u64| Row::from([("n".to_owned(), Some(value.to_string()))]);
    RowChange {
        table: TableName::new("sim", table),
        op: Op::Update,
        key: key.to_owned(),
        version: Some(1),
        changed: n(to),
        old: n(from),
    }
}
