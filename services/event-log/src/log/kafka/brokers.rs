//! Questions to the brokers, and orders: what `setup` and every start need, beside events.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer as _};
use upwrite_events::Stream;
use upwrite_kafka_token::set_token;

use super::client::{Aside, Context};
use super::config::KafkaConfig;
use super::diagnosis::Diagnosis;
use super::token::TokenError;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long other brokers may take to prove better when one has refused us.
const REFUSED_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// None of our options is wrong in itself; brokers may see that in another way.
    #[error("Kafka: {0}")]
    Failed(String),
    #[error("Kafka: {0}")]
    Token(#[from] TokenError),
}

/// A connection for questions, and one for orders. Shared with threads that wait for answers.
pub(crate) struct Brokers {
    /// Unlike `AdminClient`, a producer hands on what librdkafka says of the connection.
    asks: Aside<FutureProducer<Context>>,
    orders: Aside<AdminClient<Context>>,
    diagnosis: Arc<Diagnosis>,
}

impl Brokers {
    /// # Errors
    /// If no broker answers, with what is known of the reason.
    pub(crate) async fn connect(config: &KafkaConfig) -> Result<Arc<Self>, Unanswered> {
        let context = config.context();
        let token = context.token().transpose()?;
        let failed = |error: KafkaError| Unanswered::Failed(error.to_string());
        let asks = config.client().create_with_context(context.named("questions")).map_err(failed)?;
        let orders: AdminClient<Context> =
            config.client().create_with_context(context.named("orders")).map_err(failed)?;
        if let Some(token) = token {
            // An `AdminClient` is never polled for the token that it wants. This one is gone before the token is.
            set_token(orders.inner(), &token).map_err(Unanswered::Failed)?;
        }
        let brokers = Arc::new(Self {
            asks: Aside::new(asks),
            orders: Aside::new(orders),
            diagnosis: Arc::clone(context.diagnosis()),
        });
        let topic = config.topic(Stream::Mutations);
        let (asked, patience) = (Arc::clone(&brokers), PATIENCE.saturating_sub(REFUSED_PATIENCE));
        let answered = blocking(move || {
            let answer = |patience| asked.asks.client().fetch_metadata(Some(&topic), patience).map(|_| ());
            answer(REFUSED_PATIENCE)
                .or_else(|error| if asked.diagnosis.refused() { Err(error) } else { answer(patience) })
        });
        answered.await.map_err(|error| brokers.unanswered(&error))?;
        Ok(brokers)
    }

    /// The text of what a broker refused.
    pub(crate) fn refusal(&self, code: RDKafkaErrorCode) -> String {
        self.diagnosis.explain(&KafkaError::AdminOp(code))
    }

    pub(crate) fn unanswered(&self, error: &KafkaError) -> Unanswered {
        Unanswered::Failed(self.diagnosis.explain(error))
    }

    /// The id of the cluster.
    pub(crate) async fn cluster(self: &Arc<Self>) -> Result<String, Unanswered> {
        let brokers = Arc::clone(self);
        let id = blocking(move || Ok(brokers.asks.client().fetch_cluster_id(PATIENCE))).await;
        let silent = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        id.and_then(|id| id.ok_or(silent)).map_err(|error| self.unanswered(&error))
    }

    /// Partitions with a leader, and the least number of copies; `None`: there is no such topic.
    pub(crate) async fn topic(self: &Arc<Self>, topic: &str) -> Result<Option<(u16, usize)>, Unanswered> {
        let (brokers, name) = (Arc::clone(self), topic.to_owned());
        let found = blocking(move || {
            let metadata = brokers.asks.client().fetch_metadata(Some(&name), PATIENCE)?;
            let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => return Err(KafkaError::MetadataFetch(code)),
                Some(_) => return Ok(None),
            }
            let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
            let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
            Ok((led > 0).then(|| (u16::try_from(led).unwrap_or(u16::MAX), copies)))
        });
        found.await.map_err(|error| self.about(topic, &error))
    }

    fn about(&self, topic: &str, error: &KafkaError) -> Unanswered {
        Unanswered::Failed(format!("topic {topic}: {}", self.diagnosis.explain(error)))
    }

    /// `Err`, inside: the brokers' refusal.
    pub(crate) async fn make(&self, topic: &NewTopic<'_>) -> Result<Result<(), RDKafkaErrorCode>, Unanswered> {
        let made = self.orders.create_topics([topic], &options()).await.map_err(|error| self.unanswered(&error))?;
        match made.into_iter().next() {
            Some(Ok(_)) => Ok(Ok(())),
            Some(Err((_, code))) => Ok(Err(code)),
            None => Ok(Err(RDKafkaErrorCode::Unknown)),
        }
    }

    pub(crate) async fn settings(&self, topic: &str) -> Result<ConfigResource, Unanswered> {
        let described = self.orders.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await;
        let described = described.map_err(|error| self.unanswered(&error))?.into_iter().next();
        let described = described.unwrap_or(Err(RDKafkaErrorCode::Unknown));
        described.map_err(|code| self.about(topic, &KafkaError::AdminOp(code)))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(ask).await.map_err(|_| KafkaError::Canceled)?
}
