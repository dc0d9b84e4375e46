//! One table, what a reconciler writes of it, and what a reader sees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sqlx::PgConnection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::KafkaConfig;
use upwrite_event_log::kafka::{self, RecordsError, RecordsPublisher};
use upwrite_events::TableName;
use upwrite_testkit::until;

use crate::harness::{Harness as _, LIMIT};
use crate::kafka::harness::KafkaHarness;

/// What a reconciler does: the row's next version, and the outbox, in one statement.
const WRITE: &str = "/* test.write */ with written as ( \
        insert into crm.counter as t (key, version) select k, 1 from unnest($1::text[]) k order by k \
        on conflict (key) do update set version = t.version + 1 returning key, version) \
    insert into upwrite.outbox (source, table_name, key, version, image) \
    select 'crm', 'contact', key, version, jsonb_build_object('id', key, 'version', version::text, 'note', null) \
      from written";

pub(crate) struct World {
    pub(crate) harness: KafkaHarness,
    pub(crate) table: TableName,
}

/// A record as a reader of committed records sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    partition: i32,
    pub(crate) key: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Seen {
    pub(crate) fn version(&self) -> i64 {
        self.headers["upwrite-version"].parse().unwrap()
    }
}

impl World {
    pub(crate) async fn on(harness: KafkaHarness) -> Self {
        let table = harness.table();
        kafka::prepare(&harness.config(), 4, std::slice::from_ref(&table)).await.unwrap();
        harness.database().execute("create table crm.counter (key text primary key, version bigint not null)").await;
        Self { harness, table }
    }

    pub(crate) async fn shared() -> Self {
        Self::on(KafkaHarness::shared().await).await
    }

    pub(crate) fn topic(&self) -> String {
        self.harness.config().records_topic(&self.table)
    }

    pub(crate) fn publish_with(
        &self,
        config: KafkaConfig,
    ) -> (CancellationToken, JoinHandle<Result<(), RecordsError>>) {
        let pool = self.harness.database().service_pool();
        let publisher = RecordsPublisher::new(config, pool, self.table.clone()).unwrap();
        let stop = CancellationToken::new();
        let until = stop.clone();
        (stop, tokio::spawn(async move { publisher.run(&until).await }))
    }

    pub(crate) fn publish(&self) -> (CancellationToken, JoinHandle<Result<(), RecordsError>>) {
        self.publish_with(self.harness.config())
    }

    pub(crate) async fn write(&self, keys: &[&str]) {
        let mut connection = self.harness.database().admin().acquire().await.unwrap();
        write(&mut connection, keys).await;
    }

    pub(crate) async fn waiting(&self) -> i64 {
        let count = sqlx::query_scalar("/* test.waiting */ select count(*) from upwrite.outbox");
        count.fetch_one(self.harness.database().admin()).await.unwrap()
    }

    pub(crate) async fn until_empty(&self) {
        until(LIMIT, "the outbox to be empty", || async { (self.waiting().await == 0).then_some(()) }).await;
    }

    pub(crate) async fn until_seen(&self, count: usize) {
        until(LIMIT, "records in the topic", || async { (self.seen().await.len() >= count).then_some(()) }).await;
    }

    /// All that is committed.
    pub(crate) async fn seen(&self) -> Vec<Seen> {
        let (config, topic) = (self.harness.config(), self.topic());
        tokio::task::spawn_blocking(move || seen(&config, &topic)).await.unwrap()
    }

    /// Every version that the table ever had is in the topic, once, in order, and each key in one partition.
    pub(crate) async fn assert_complete(&self) {
        let rows = "/* test.rows */ select key, version from crm.counter";
        let rows: Vec<(String, i64)> = sqlx::query_as(rows).fetch_all(self.harness.database().admin()).await.unwrap();
        let (mut versions, mut partitions) = (BTreeMap::<String, Vec<i64>>::new(), BTreeSet::new());
        for seen in self.seen().await {
            partitions.insert((seen.key.clone(), seen.partition));
            versions.entry(seen.key.clone()).or_default().push(seen.version());
        }
        let expected: BTreeMap<String, Vec<i64>> =
            rows.into_iter().map(|(key, version)| (key, (1..=version).collect())).collect();
        assert_eq!(versions, expected);
        assert_eq!(partitions.len(), versions.len());
    }
}

pub(crate) async fn write(connection: &mut PgConnection, keys: &[&str]) {
    sqlx::query(WRITE).bind(keys).execute(connection).await.unwrap();
}

fn seen(kafka: &KafkaConfig, topic: &str) -> Vec<Seen> {
    let mut config: ClientConfig = kafka.options.clone().into_iter().collect();
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", format!("{}-judge", kafka.topic_prefix))
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.set("enable.partition.eof", "true").create().unwrap();
    let mut list = TopicPartitionList::new();
    for number in 0..4 {
        list.add_partition_offset(topic, number, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut all, mut ended) = (Vec::new(), BTreeSet::new());
    let begun = Instant::now();
    while ended.len() < 4 {
        assert!(begun.elapsed() < LIMIT, "no end after {} records", all.len());
        // It may wake for nothing.
        let Some(polled) = consumer.poll(Duration::from_secs(1)) else { continue };
        match polled {
            Ok(message) => all.push(Seen {
                partition: message.partition(),
                key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                headers: message
                    .headers()
                    .unwrap()
                    .iter()
                    .map(|h| (h.key.to_owned(), String::from_utf8(h.value.unwrap().to_vec()).unwrap()))
                    .collect(),
                value: message.payload().map(<[u8]>::to_vec),
            }),
            Err(KafkaError::PartitionEOF(number)) => drop(ended.insert(number)),
            // The broker may have been away just now.
            Err(_) => {}
        }
    }
    all
}

/// Three writers on ten keys, transactions of several statements, so many or until told.
pub(crate) fn load(world: &World, rounds: usize, enough: &CancellationToken) -> Vec<JoinHandle<()>> {
    let writer = |writer: usize| {
        let (pool, enough) = (world.harness.database().admin().clone(), enough.clone());
        tokio::spawn(async move {
            for round in (0..rounds).take_while(|_| !enough.is_cancelled()) {
                let mut transaction = pool.begin().await.unwrap();
                // In one order, or they would wait for one another in a circle.
                for key in [round % 3, 3 + (writer + round) % 3, 6 + round % 4] {
                    write(&mut transaction, &[&format!("k{key}")]).await;
                }
                transaction.commit().await.unwrap();
                // Slower than the publisher, or the topic would have no end to be read to.
                #[allow(clippy::disallowed_methods, reason = "a load has a pace")]
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    (0..3).map(writer).collect()
}
