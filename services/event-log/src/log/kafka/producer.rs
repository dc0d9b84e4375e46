//! Events on their way to the brokers.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::Timestamp;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use upwrite_events::{Position, Stream};

use super::client::{Aside, Context, Reach};
use super::config::KafkaConfig;
use crate::LogError;

/// Bytes are counted in units that keep the largest queue within the semaphore's range.
const UNIT_BYTES: usize = 1024;
/// Between looks whether the brokers are back.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
const PROBE: Duration = Duration::from_secs(2);

pub(crate) type Client = Aside<FutureProducer<Context>>;

/// One record to be written.
pub(crate) struct Outgoing {
    pub(crate) key: String,
    pub(crate) headers: OwnedHeaders,
    pub(crate) value: Vec<u8>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) position: Position,
    /// The brokers' time of it, Unix microseconds, if they sent it.
    pub(crate) appended_at_us: Option<i64>,
}

impl Placed {
    fn of(delivery: &Delivery) -> Self {
        let appended_at_us = match delivery.timestamp {
            Timestamp::LogAppendTime(milliseconds) => Some(milliseconds.saturating_mul(1000)),
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        Self { position: Position(delivery.offset), appended_at_us }
    }
}

/// The process's idempotent producer. After an error that ends one (`fatal`), the next takes its place.
pub(crate) struct Producer {
    config: ClientConfig,
    context: Context,
    current: RwLock<Arc<Client>>,
    reach: Arc<Reach>,
    connect_timeout: Duration,
    /// What is asked for to see whether a broker answers.
    probed: String,
    /// What may be on its way: events, and units of bytes.
    items: Semaphore,
    units: Semaphore,
    max_items: u32,
    max_units: u32,
}

impl Producer {
    /// # Errors
    /// If an option is wrong. Asks no broker.
    pub(crate) fn new(config: &KafkaConfig, context: &Context) -> KafkaResult<Self> {
        let reach = Arc::new(Reach::new(Arc::clone(context.diagnosis())));
        let context = context.named("producer").reaching(&reach);
        let client = config.producer();
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX / 8).clamp(1, u32::MAX / 8);
        let (max_items, max_units) = (narrow(config.queue_items), narrow(config.queue_bytes / UNIT_BYTES));
        Ok(Self {
            current: RwLock::new(Arc::new(create(&client, &context)?)),
            config: client,
            context,
            reach,
            connect_timeout: config.connect_timeout,
            probed: config.topic(Stream::Mutations),
            items: Semaphore::new(max_items as usize),
            units: Semaphore::new(max_units as usize),
            max_items,
            max_units,
        })
    }

    /// The client itself, for questions.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a question to the brokers failed with, and why.
    pub(crate) fn explain(&self, error: &KafkaError) -> String {
        self.context.diagnosis().explain(error)
    }

    pub(crate) fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// Writes records to one partition, in order; durable on return.
    ///
    /// # Errors
    /// `NotAppended`: none of them was handed over, or the brokers refused them for what they are. `Unknown`: any of
    /// them may be there.
    pub(crate) async fn send(
        &self,
        topic: &str,
        partition: i32,
        records: Vec<Outgoing>,
    ) -> Result<Vec<Placed>, LogError> {
        let limited = |wanted: usize, most: u32| u32::try_from(wanted).unwrap_or(most).min(most);
        let bytes: usize = records.iter().map(|record| record.value.len()).sum();
        let closed = |_| LogError::NotAppended("the event log is shutting down".to_owned());
        let _items = self.items.acquire_many(limited(records.len(), self.max_items)).await.map_err(closed)?;
        let _units = self.units.acquire_many(limited(bytes / UNIT_BYTES + 1, self.max_units)).await.map_err(closed)?;
        if !self.reach.until_back(self.connect_timeout).await {
            return Err(LogError::NotAppended(self.reach.why()));
        }
        let client = self.client();
        let (mut deliveries, mut refused) = (Vec::with_capacity(records.len()), None);
        // Without a pause in between: no other caller's record comes between them in the queue.
        for record in &records {
            let future = FutureRecord::to(topic).partition(partition).key(&record.key).payload(&record.value);
            match client.send_result(future.headers(record.headers.clone())) {
                Ok(delivery) => deliveries.push(delivery),
                Err((error, _)) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let sent = deliveries.len();
        let mut placed = Vec::with_capacity(sent);
        let mut unknown = None;
        let mut definite = 0;
        for delivery in join_all(deliveries).await {
            match delivery {
                Ok(Ok(delivery)) if delivery.offset >= 0 => placed.push(Placed::of(&delivery)),
                Ok(Ok(_)) => unknown = Some("the brokers have it already, and do not say where".to_owned()),
                Ok(Err((error, _))) => {
                    if refuses_the_record(&error) {
                        definite += 1;
                    }
                    unknown = Some(self.explain(&error));
                }
                Err(_) => unknown = Some("the producer has gone".to_owned()),
            }
        }
        if unknown.is_some() || refused.is_some() {
            self.replace_if_dead(&client);
        }
        match (refused, unknown) {
            (None, None) => Ok(placed),
            (Some(error), _) if sent == 0 => Err(LogError::NotAppended(error.to_string())),
            (None, Some(reason)) if definite == sent => Err(LogError::NotAppended(reason)),
            (Some(error), None) => Err(LogError::Unknown(error.to_string())),
            (_, Some(reason)) => Err(LogError::Unknown(reason)),
        }
    }

    /// An idempotent producer that met a fatal error takes nothing any more.
    fn replace_if_dead(&self, client: &Arc<Client>) {
        let Some((code, reason)) = client.client().fatal_error() else { return };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, client) {
            return;
        }
        tracing::warn!(?code, reason, "the Kafka producer cannot go on; another takes its place");
        match create(&self.config, &self.context) {
            Ok(new) => *current = Arc::new(new),
            Err(error) => tracing::error!(%error, "no Kafka producer can be made"),
        }
    }

    /// While no broker can be reached: looks for one, so that nothing need be sent to find out.
    pub(crate) async fn probe(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = self.reach.until_away() => {}
                () = shutdown.cancelled() => return,
            }
            let (client, topic) = (self.client(), self.probed.clone());
            let ask = move || client.client().fetch_metadata(Some(&topic), PROBE).map(|_| ());
            let asked = tokio::task::spawn_blocking(ask).await;
            if matches!(asked, Ok(Ok(()))) {
                self.reach.back();
            } else {
                tokio::time::sleep(PROBE_PAUSE).await;
            }
        }
    }
}

fn create(config: &ClientConfig, context: &Context) -> KafkaResult<Client> {
    config.create_with_context(context.clone()).map(Aside::new)
}

/// Whether the brokers refused the record for what it is: then no earlier try of it can have been taken either.
fn refuses_the_record(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidMessageSize, MessageBatchTooLarge, MessageSizeTooLarge, PolicyViolation};
    matches!(
        error.rdkafka_error_code(),
        Some(MessageSizeTooLarge | MessageBatchTooLarge | InvalidMessageSize | PolicyViolation)
    )
}
