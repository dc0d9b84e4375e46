//! The consumers of a process: few, each shared by many partitions, since each is many threads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use upwrite_events::{Partition, Position};

use super::client::{Aside, Context};
use super::config::KafkaConfig;

/// How long a partition that is added may wait for a request that is under way.
const FETCH_WAIT: Duration = Duration::from_millis(100);

type Consumer = StreamConsumer<Context>;

/// All subscriptions of a process read through these. A partition is read once per consumer: a second reader of the
/// same partition gets a slot at another one.
pub(crate) struct Readers {
    config: ClientConfig,
    context: Context,
    shared: Mutex<Vec<Arc<SharedConsumer>>>,
    pumps: CancellationToken,
    _end: DropGuard,
}

struct SharedConsumer {
    consumer: Aside<Arc<Consumer>>,
    taken: Mutex<HashSet<Partition>>,
}

impl Readers {
    pub(crate) fn new(config: &KafkaConfig, context: &Context) -> Self {
        let pumps = CancellationToken::new();
        let end = pumps.clone().drop_guard();
        let (config, context) = (config.consumer(FETCH_WAIT), context.named("reader"));
        Self { config, context, shared: Mutex::default(), pumps, _end: end }
    }

    /// A slot for reading the partition from that position on; blocks for some milliseconds, more for the first.
    pub(crate) fn slot(
        &self,
        topic: &str,
        partition: Partition,
        from: Position,
        runtime: Handle,
    ) -> Result<ConsumerSlot, KafkaError> {
        let shared = self.free(partition, &runtime)?;
        let mut slot = ConsumerSlot { shared, partition, topic: topic.to_owned(), queue: None, runtime };
        let number = i32::from(partition.number);
        // Before it is assigned: nothing of it may come out of the common queue.
        slot.queue = slot.shared.consumer.split_partition_queue(topic, number);
        if slot.queue.is_none() {
            return Err(KafkaError::Subscription(format!("no queue for partition {number} of {topic}")));
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, Offset::Offset(from.0))?;
        slot.shared.consumer.incremental_assign(&list)?;
        Ok(slot)
    }

    /// A consumer that does not read the partition yet, marked as reading it.
    fn free(&self, partition: Partition, runtime: &Handle) -> Result<Arc<SharedConsumer>, KafkaError> {
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.iter().find(|shared| shared.taken().insert(partition)) {
            return Ok(Arc::clone(shared));
        }
        let consumer: Consumer = self.config.create_with_context(self.context.clone())?;
        let consumer = Arc::new(consumer);
        runtime.spawn(pump(Aside::new(Arc::clone(&consumer)), self.pumps.clone()));
        let consumer = Aside::new(consumer);
        let shared = Arc::new(SharedConsumer { consumer, taken: Mutex::new(HashSet::from([partition])) });
        all.push(Arc::clone(&shared));
        Ok(shared)
    }
}

impl SharedConsumer {
    fn taken(&self) -> std::sync::MutexGuard<'_, HashSet<Partition>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The consumer's own events. Records come out of the queues of their partitions.
async fn pump(consumer: Aside<Arc<Consumer>>, end: CancellationToken) {
    loop {
        tokio::select! {
            event = consumer.recv() => if let Err(error) = event {
                tracing::debug!(%error, "Kafka reader");
            },
            () = end.cancelled() => return,
        }
    }
}

/// One partition's place at a consumer; given up when dropped.
pub(crate) struct ConsumerSlot {
    shared: Arc<SharedConsumer>,
    partition: Partition,
    topic: String,
    queue: Option<StreamPartitionQueue<Context>>,
    runtime: Handle,
}

impl ConsumerSlot {
    pub(crate) fn queue(&self) -> Option<&StreamPartitionQueue<Context>> {
        self.queue.as_ref()
    }
}

impl Drop for ConsumerSlot {
    fn drop(&mut self) {
        let (shared, queue) = (Arc::clone(&self.shared), self.queue.take());
        let (topic, partition) = (std::mem::take(&mut self.topic), self.partition);
        // In this order: the next reader of the partition at this consumer has a queue of its own.
        self.runtime.spawn_blocking(move || {
            drop(queue);
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, i32::from(partition.number));
            if let Err(error) = shared.consumer.incremental_unassign(&list) {
                tracing::debug!(%error, "a partition that was not assigned");
            }
            shared.taken().remove(&partition);
        });
    }
}
