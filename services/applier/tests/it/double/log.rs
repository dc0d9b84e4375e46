//! A log in memory, with the contract's words. Can lose the acknowledgement of an append.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use upwrite_event_log::{EventLog, LogError, LogRecord, Submission, Submitted, Subscription, Undecodable};
use upwrite_events::{Event, Lifecycle, MutationId, Partition, PartitionFold, Position, Stream};

const NEWER: &str = "written by a newer version";

pub(crate) struct MemoryLog {
    me: Weak<Self>,
    partitions: u16,
    records: Arc<Mutex<HashMap<Partition, Vec<LogRecord>>>>,
    /// The fold at the end of each partition.
    folds: Mutex<HashMap<u16, PartitionFold>>,
    changed: watch::Sender<u64>,
    /// Stands in the log just before the next event of that name.
    preceding: Mutex<Option<(&'static str, Event)>>,
    /// Appends with an event of that name do not arrive.
    held: watch::Sender<Option<&'static str>>,
    /// The next append of an event of that name is not answered, and arrives that much later.
    straggling: Mutex<Option<(&'static str, Duration)>>,
    faults: Mutex<(StdRng, f64)>,
}

impl MemoryLog {
    pub(crate) fn new(partitions: u16, seed: u64) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        let (held, _) = watch::channel(None);
        let faults = Mutex::new((StdRng::seed_from_u64(seed), 0.0));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            partitions,
            records: Arc::default(),
            folds: Mutex::default(),
            changed,
            preceding: Mutex::default(),
            held,
            straggling: Mutex::default(),
            faults,
        })
    }

    /// Share of appends whose acknowledgement is lost.
    pub(crate) fn lose_acknowledgements(&self, share: f64) {
        self.faults.lock().unwrap().1 = share;
    }

    /// Another process's event gets in just before the next one with that name.
    pub(crate) fn precede(&self, name: &'static str, event: Event) {
        *self.preceding.lock().unwrap() = Some((name, event));
    }

    /// Appends with an event of that name do not arrive until [`MemoryLog::release`].
    pub(crate) fn hold(&self, name: &'static str) {
        self.held.send_replace(Some(name));
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }

    /// The next append of an event of that name is not answered, and arrives that much later.
    pub(crate) fn straggle(&self, name: &'static str, delay: Duration) {
        *self.straggling.lock().unwrap() = Some((name, delay));
    }

    /// A record that this version cannot read.
    pub(crate) fn newer(&self, number: u16) {
        let partition = Partition { stream: Stream::Mutations, number };
        let event = Err(Undecodable { reason: NEWER.to_owned(), value: Vec::new() });
        let mut records = self.records.lock().unwrap();
        let records = records.entry(partition).or_default();
        records.push(LogRecord { partition, position: Position(records.len() as i64), appended_at_us: 0, event });
        self.changed.send_modify(|count| *count += 1);
    }

    /// Changes with every append.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn all(&self, number: u16) -> Vec<LogRecord> {
        let partition = Partition { stream: Stream::Mutations, number };
        self.records.lock().unwrap().get(&partition).cloned().unwrap_or_default()
    }

    /// The events of one partition.
    pub(crate) fn events(&self, number: u16) -> Vec<Event> {
        self.all(number).into_iter().filter_map(|record| record.event.ok()).collect()
    }

    /// Where a mutation stands now.
    pub(crate) fn life(&self, number: u16, mutation: MutationId) -> Option<Lifecycle> {
        self.folds.lock().unwrap().get(&number)?.get(mutation).cloned()
    }

    /// The fold over what stands before `end`.
    pub(crate) fn folded(&self, number: u16, end: usize) -> PartitionFold {
        let mut fold = PartitionFold::default();
        for record in self.all(number).into_iter().take(end) {
            let Ok(event) = record.event else { continue };
            fold_in(&mut fold, record.position, &event);
        }
        fold
    }

    /// The same, as it was when an event last spoke of the mutation: what markers say of all is missing.
    pub(crate) fn written(&self, number: u16, end: usize) -> HashMap<MutationId, Lifecycle> {
        let (mut fold, mut written) = (PartitionFold::default(), HashMap::new());
        for record in self.all(number).into_iter().take(end) {
            let Ok(event) = record.event else { continue };
            fold_in(&mut fold, record.position, &event);
            written.extend(event.mutation().and_then(|id| Some((id, fold.get(id)?.clone()))));
        }
        written
    }
}

/// What is illegal goes to dead letters; a stage that wrote it is at fault.
fn fold_in(fold: &mut PartitionFold, position: Position, event: &Event) {
    if let Err(illegal) = fold.apply(position, event) {
        panic!("position {position}: {illegal}: {event:?}");
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    async fn append(&self, partition: Partition, events: Vec<Event>) -> Result<Vec<Position>, LogError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let arrives = |held: &Option<&str>| held.is_none_or(|name| events.iter().all(|event| event.name() != name));
        let _ = self.held.subscribe().wait_for(arrives).await;
        let straggles = |(name, _): &mut (&str, Duration)| events.iter().any(|event| event.name() == *name);
        let straggling = self.straggling.lock().unwrap().take_if(straggles);
        if let (Some((_, delay)), Some(me)) = (straggling, self.me.upgrade()) {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = me.append(partition, events).await;
            });
            return Err(LogError::Unknown("late".into()));
        }
        let positions = {
            let mut records = self.records.lock().unwrap();
            let records = records.entry(partition).or_default();
            let mut folds = self.folds.lock().unwrap();
            let fold = folds.entry(partition.number).or_default();
            let append = |event| {
                let position = Position(records.len() as i64);
                fold_in(fold, position, &event);
                records.push(LogRecord { partition, position, appended_at_us: 0, event: Ok(event) });
                position
            };
            let preceding =
                self.preceding.lock().unwrap().take_if(|(name, _)| events.iter().any(|event| event.name() == *name));
            let mut append = append;
            if let Some((_, event)) = preceding {
                append(event);
            }
            events.into_iter().map(append).collect()
        };
        self.changed.send_modify(|count| *count += 1);
        let (rng, share) = &mut *self.faults.lock().unwrap();
        if rng.random_bool(*share) { Err(LogError::Unknown("lost".into())) } else { Ok(positions) }
    }

    async fn submit(&self, _: Submission) -> Result<Submitted, LogError> {
        unreachable!("the applier submits nothing")
    }

    fn subscribe(&self, partition: Partition, from: Position) -> Subscription {
        let records = Arc::clone(&self.records);
        let start = (from.0 as usize, self.changed.subscribe());
        let next = move |(at, mut changed): (usize, watch::Receiver<u64>)| {
            let records = Arc::clone(&records);
            async move {
                loop {
                    changed.borrow_and_update();
                    let batch: Vec<LogRecord> =
                        records.lock().unwrap().get(&partition).map(|all| all[at..].to_vec()).unwrap_or_default();
                    let newer = |record: &LogRecord| matches!(&record.event, Err(why) if why.reason == NEWER);
                    if batch.first().is_some_and(newer) {
                        return Some((Err(LogError::Newer(NEWER.into())), (at, changed)));
                    }
                    let batch: Vec<LogRecord> = batch.into_iter().take_while(|record| !newer(record)).collect();
                    if !batch.is_empty() {
                        return Some((Ok(batch.clone()), (at + batch.len(), changed)));
                    }
                    changed.changed().await.ok()?;
                }
            }
        };
        stream::unfold(start, next).boxed()
    }

    async fn read(&self, partition: Partition, from: Position, limit: usize) -> Result<Vec<LogRecord>, LogError> {
        Ok(self.all(partition.number).into_iter().skip(from.0 as usize).take(limit).collect())
    }

    async fn start(&self, _: Partition) -> Result<Position, LogError> {
        Ok(Position::START)
    }

    async fn end(&self, partition: Partition) -> Result<Position, LogError> {
        Ok(Position(self.all(partition.number).len() as i64))
    }
}
