//! Topics of its own on the shared broker or on brokers that may be killed, and a database for the claims.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, KafkaConfig, KafkaLog, LogError, kafka};
use upwrite_events::{MutationId, Partition, TableName};
use upwrite_testkit::kafka::{Broker, Brokers, Options, unique_prefix};
use upwrite_testkit::postgres;

use crate::harness::{Finishing, Harness};
use crate::postgres::harness::PostgresHarness;

pub(crate) enum Where {
    Shared(&'static Broker),
    Own(Broker),
    Three(Brokers),
}

pub(crate) struct KafkaHarness {
    place: Where,
    database: PostgresHarness,
    /// Whether Postgres goes when the log is killed.
    with_database: bool,
    config: KafkaConfig,
    shutdown: CancellationToken,
}

impl Drop for KafkaHarness {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl KafkaHarness {
    pub(crate) async fn shared() -> Self {
        Self::on(Where::Shared(Broker::shared().await), PostgresHarness::shared().await, false).await
    }

    /// For tests that kill the broker.
    pub(crate) async fn own() -> Self {
        Self::on(Where::Own(Broker::start(Options::default()).await), PostgresHarness::shared().await, false).await
    }

    /// For tests that kill the broker and Postgres at the same time.
    pub(crate) async fn own_with_database(options: postgres::Options) -> Self {
        let broker = Broker::start(Options::default()).await;
        Self::on(Where::Own(broker), PostgresHarness::own(options).await, true).await
    }

    /// For tests in which the leader changes.
    pub(crate) async fn three() -> Self {
        Self::on(Where::Three(Brokers::start(3).await), PostgresHarness::shared().await, false).await
    }

    /// For tests of who may connect, and how: `adjust` says how this process does.
    pub(crate) async fn secured(broker: &'static Broker, adjust: impl FnOnce(KafkaConfig) -> KafkaConfig) -> Self {
        Self::adjusted(Where::Shared(broker), PostgresHarness::shared().await, false, adjust).await
    }

    pub(crate) async fn on(place: Where, database: PostgresHarness, with_database: bool) -> Self {
        Self::adjusted(place, database, with_database, |config| config).await
    }

    async fn adjusted(
        place: Where,
        database: PostgresHarness,
        with_database: bool,
        adjust: impl FnOnce(KafkaConfig) -> KafkaConfig,
    ) -> Self {
        let (bootstrap, replication, min_insync) = match &place {
            Where::Shared(broker) => (broker.bootstrap(), 1, 1),
            Where::Own(broker) => (broker.bootstrap(), 1, 1),
            Where::Three(brokers) => (brokers.bootstrap(), 3, 2),
        };
        let config = adjust(KafkaConfig {
            topic_prefix: unique_prefix(),
            replication,
            min_insync,
            answer_timeout: Duration::from_secs(3),
            ..KafkaConfig::new(bootstrap)
        });
        database.execute("update upwrite.deployment set log_engine = 'kafka'").await;
        kafka::prepare(&config, 4, &[]).await.unwrap();
        Self { place, database, with_database, config, shutdown: CancellationToken::new() }
    }

    pub(crate) fn config(&self) -> KafkaConfig {
        self.config.clone()
    }

    pub(crate) fn database(&self) -> &PostgresHarness {
        &self.database
    }

    pub(crate) fn broker(&self) -> &Broker {
        match &self.place {
            Where::Shared(broker) => broker,
            Where::Own(broker) => broker,
            Where::Three(_) => panic!("there are three"),
        }
    }

    pub(crate) fn brokers(&self) -> &Brokers {
        match &self.place {
            Where::Three(brokers) => brokers,
            Where::Shared(_) | Where::Own(_) => panic!("there is one"),
        }
    }

    pub(crate) async fn open(&self, config: KafkaConfig) -> Arc<dyn EventLog> {
        self.try_open(config).await.unwrap()
    }

    pub(crate) async fn try_open(&self, config: KafkaConfig) -> Result<Arc<dyn EventLog>, LogError> {
        let log = KafkaLog::open(self.database.service_pool(), config, self.shutdown.child_token()).await?;
        Ok(log)
    }

    /// A record as anybody could write it.
    pub(crate) async fn write(&self, topic: &str, number: u16, headers: &[(&str, &str)], value: &[u8]) -> i64 {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.config.brokers).set("acks", "all");
        let producer: FutureProducer = client.create().unwrap();
        let mut own = OwnedHeaders::new();
        for (key, value) in headers {
            own = own.insert(Header { key, value: Some(*value) });
        }
        let record = FutureRecord::to(topic).partition(i32::from(number)).key("").payload(value).headers(own);
        producer.send(record, Duration::from_secs(10)).await.unwrap().offset
    }

    pub(crate) fn options(&self, options: &[(&str, &str)]) -> KafkaConfig {
        let options: BTreeMap<_, _> = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        KafkaConfig { options, ..self.config() }
    }
}

#[async_trait]
impl Harness for KafkaHarness {
    async fn process(&self) -> Arc<dyn EventLog> {
        self.open(self.config()).await
    }

    async fn polling_process(&self) -> Arc<dyn EventLog> {
        self.process().await
    }

    fn table(&self) -> TableName {
        self.database.table()
    }

    fn appends_stay_together(&self) -> bool {
        false
    }

    async fn version(&self, key: &str) -> Option<i64> {
        self.database.version(key).await
    }

    async fn set_version(&self, key: &str, version: Option<i64>) {
        self.database.set_version(key, version).await;
    }

    async fn finish(&self, mutation: MutationId, key: &str, version: Option<i64>) {
        self.database.finish(mutation, key, version).await;
    }

    async fn begin_finish(&self, mutation: MutationId, key: &str, version: Option<i64>) -> Box<dyn Finishing> {
        self.database.begin_finish(mutation, key, version).await
    }

    async fn until_blocked(&self) {
        self.database.until_blocked().await;
    }

    async fn claimed(&self) -> i64 {
        self.database.claimed().await
    }

    async fn append_silently(&self, partition: Partition, value: &[u8]) {
        self.write(&self.config.topic(partition.stream), partition.number, &[], value).await;
    }

    async fn kill(&self) {
        assert!(matches!(self.place, Where::Own(_)), "other tests use this broker");
        self.broker().kill9().await;
        if self.with_database {
            self.database.kill().await;
        }
    }

    async fn restart(&self) {
        if self.with_database {
            self.database.restart().await;
        }
        self.broker().restart().await;
    }
}
