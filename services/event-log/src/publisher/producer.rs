//! A table's transactional producer. A new one fences the one before.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;

use super::failure::Failure;
use super::message::Message;
use crate::log::kafka::client::{Aside, Context};
use crate::log::kafka::config::KafkaConfig;
use crate::log::kafka::diagnosis::Diagnosis;

/// After it the brokers end a transaction whose producer is silent; until then, readers of committed records wait.
const TRANSACTION: Duration = Duration::from_secs(30);
/// Within the transaction's time, as librdkafka demands.
const DELIVERY: Duration = Duration::from_secs(15);
/// Each step of a transaction.
const STEP: Duration = Duration::from_secs(20);
/// Taking over: the coordinator may have to end the predecessor's transaction first.
const TAKING_OVER: Duration = Duration::from_secs(10);

type Client = FutureProducer<Context>;

pub(super) struct Producer {
    client: Arc<Aside<Client>>,
    topic: String,
    diagnosis: Arc<Diagnosis>,
}

impl Producer {
    /// Fences every earlier producer of the topic, and waits until its last transaction has ended, either way.
    pub(super) async fn take_over(config: &KafkaConfig, topic: &str) -> Result<Self, Failure> {
        let mut settings = config.producer();
        settings
            .set("transactional.id", topic)
            .set("transaction.timeout.ms", TRANSACTION.as_millis().to_string())
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            // The partition that producers in Java choose for the key: topics can be joined.
            .set("partitioner", "murmur2_random");
        if !config.options.contains_key("linger.ms") {
            // No record waits for others: the last record of a batch is followed by the commit, which flushes.
            settings.set("linger.ms", "5");
        }
        let context = config.context().named("records");
        let diagnosis = Arc::clone(context.diagnosis());
        // Options were looked at before; what remains is want of threads or memory.
        let client: Client = settings.create_with_context(context).map_err(Failure::away)?;
        let producer = Self { client: Arc::new(Aside::new(client)), topic: topic.to_owned(), diagnosis };
        producer.blocking(|client, _| client.init_transactions(TAKING_OVER)).await?;
        Ok(producer)
    }

    /// All of them, or none. `Fenced`: none. `Away`: not known; the publisher that takes over reads it from the topic.
    pub(super) async fn publish(&self, messages: Vec<Message>) -> Result<(), Failure> {
        self.blocking(move |client, topic| {
            client.begin_transaction()?;
            for message in messages {
                let mut record = FutureRecord::<str, [u8]>::to(topic).key(&message.key).headers(message.headers);
                record.payload = message.value.as_deref();
                // The commit fails unless all are delivered.
                client.send_result(record).map_err(|(error, _)| error)?;
            }
            client.commit_transaction(STEP)
        })
        .await
    }

    async fn blocking(
        &self,
        step: impl FnOnce(&Client, &str) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Failure> {
        let (client, topic, diagnosis) = (Arc::clone(&self.client), self.topic.clone(), Arc::clone(&self.diagnosis));
        let done = tokio::task::spawn_blocking(move || {
            step(&client, &topic).map_err(|error| failed(&client, &error, &diagnosis))
        });
        done.await.map_err(Failure::away)?
    }
}

fn failed(client: &Client, error: &KafkaError, diagnosis: &Diagnosis) -> Failure {
    if fences(error) {
        return Failure::Fenced;
    }
    // Some steps fail with another error, and only the end of the transaction shows that another has taken over.
    if let KafkaError::Transaction(step) = error
        && step.txn_requires_abort()
        && let Err(aborting) = client.abort_transaction(Timeout::After(STEP))
        && fences(&aborting)
    {
        return Failure::Fenced;
    }
    if client.client().fatal_error().is_some_and(|(code, _)| is_fence(code)) {
        return Failure::Fenced;
    }
    Failure::Away(diagnosis.explain(error))
}

fn fences(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(is_fence)
}

fn is_fence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}
