//! Topics: made, checked, and noticed when they are not what they were.

use std::time::Duration;

use futures::StreamExt as _;
use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::{Offset, TopicPartitionList};
use upwrite_event_log::{EventLog, KafkaConfig, LogError, kafka};
use upwrite_events::{Position, Stream, TableName};
use upwrite_testkit::kafka::unique_prefix;
use upwrite_testkit::until;

use super::engine::admin;
use super::harness::KafkaHarness;
use crate::harness::{Harness as _, LIMIT};
use crate::sample::{assert_gap_free, next, noted, partition};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_made_once_and_wrong_settings_are_told() {
    let harness = KafkaHarness::shared().await;
    let config = KafkaConfig { topic_prefix: unique_prefix(), ..harness.config() };
    let tables = [TableName::new("crm", "contact")];
    assert_eq!(kafka::check(&config, 3).await.unwrap().len(), 3, "all are missing");
    assert_eq!(kafka::prepare(&config, 3, &tables).await.unwrap().len(), 4);
    assert_eq!(kafka::prepare(&config, 3, &tables).await.unwrap(), Vec::<String>::new());
    assert_eq!(kafka::check(&config, 3).await.unwrap(), Vec::<String>::new());

    let topic = config.topic(Stream::Mutations);
    let wrong = AlterConfig::new(ResourceSpecifier::Topic(&topic))
        .set("retention.ms", "60000")
        .set("unclean.leader.election.enable", "true");
    admin(&harness).alter_configs([&wrong], &AdminOptions::new()).await.unwrap();
    let told = kafka::check(&config, 4).await.unwrap();
    let has = |text: &str| told.iter().any(|line| line.contains(&topic) && line.contains(text));
    assert!(has("has 3 partitions (with a leader), and must have 4"), "{told:?}");
    assert!(has("retention.ms = 60000, and must have 2592000000"), "{told:?}");
    assert!(has("unclean.leader.election.enable = true, and must have false"), "{told:?}");
    let refused = kafka::prepare(&config, 3, &tables).await;
    assert!(matches!(refused, Err(kafka::PrepareError::Wrong(told)) if told.iter().any(|line| line.contains(&topic))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_and_options_are_refused_at_start() {
    let harness = KafkaHarness::shared().await;
    let longer = KafkaConfig { retention: Duration::from_secs(90 * 24 * 3600), ..harness.config() };
    let more_copies = KafkaConfig { replication: 3, min_insync: 2, ..harness.config() };
    let elsewhere = KafkaConfig { topic_prefix: unique_prefix(), ..harness.config() };
    for (config, expected) in [
        (longer, "retention.ms"),
        (more_copies, "min.insync.replicas"),
        (elsewhere, "is missing"),
        (harness.options(&[("acks", "1")]), "`acks` cannot be set"),
        (harness.options(&[("no.such.thing", "1")]), "no.such.thing"),
    ] {
        let opened = harness.try_open(config).await.err();
        assert!(matches!(&opened, Some(LogError::Mismatch(text)) if text.contains(expected)), "{expected}: {opened:?}");
    }
    harness.database().execute("update upwrite.deployment set log_cluster = 'another'").await;
    let opened = harness.try_open(harness.config()).await.err();
    assert!(matches!(&opened, Some(LogError::Mismatch(text)) if text.contains("cluster another")), "{opened:?}");
    let id = kafka::cluster_id(&harness.config()).await.unwrap();
    assert!(!id.is_empty());
    harness.database().execute("update upwrite.deployment set log_cluster = null, log_engine = 'postgres'").await;
    let opened = harness.try_open(harness.config()).await.err();
    assert!(matches!(&opened, Some(LogError::Mismatch(text)) if text.contains("postgres")), "{opened:?}");
}

/// Hazard B11: records that were to be read are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_a_log_that_lost_its_beginning_is_a_mismatch() {
    let harness = KafkaHarness::shared().await;
    let log = harness.process().await;
    log.append(partition(0), (0..10).map(|n| noted(n.to_string())).collect()).await.unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&harness.config().topic(Stream::Mutations), 0, Offset::Offset(5)).unwrap();
    admin(&harness).delete_records(&list, &AdminOptions::new()).await.unwrap();
    let first = tokio::time::timeout(LIMIT, log.subscribe(partition(0), Position::START).next()).await.unwrap();
    assert!(matches!(first, Some(Err(LogError::Mismatch(_)))), "{first:?}");
    assert!(matches!(log.read(partition(0), Position(4), 1).await, Err(LogError::Mismatch(_))));
    assert_eq!(log.start(partition(0)).await.unwrap(), Position(5));
    assert_eq!(log.end(partition(0)).await.unwrap(), Position(10));
    assert_gap_free(&next(&mut log.subscribe(partition(0), Position(5)), 5).await, 5);
}

/// Hazard B11, in a running process: the topic is made anew under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_a_topic_that_was_made_anew_is_a_mismatch() {
    let harness = KafkaHarness::shared().await;
    let log = harness.process().await;
    log.append(partition(0), (0..10).map(|n| noted(n.to_string())).collect()).await.unwrap();
    let mut reader = log.subscribe(partition(0), Position::START);
    assert_gap_free(&next(&mut reader, 10).await, 0);
    let (topic, admin, options) = (harness.config().topic(Stream::Mutations), admin(&harness), AdminOptions::new());
    admin.delete_topics(&[&topic], &options).await.unwrap();
    let anew = NewTopic::new(&topic, 4, TopicReplication::Fixed(1));
    until(LIMIT, "the topic to be made anew", || async {
        let made = admin.create_topics([&anew], &options).await.unwrap();
        made[0].is_ok().then_some(())
    })
    .await;
    let seen = tokio::time::timeout(LIMIT, reader.next()).await.expect("it is noticed");
    assert!(matches!(seen, Some(Err(LogError::Mismatch(_)))), "{seen:?}");
    // From the start of the new one all goes on.
    let log: &dyn EventLog = &*log;
    until(LIMIT, "the new topic to take events", || async { log.append(partition(0), vec![noted("new")]).await.ok() })
        .await;
    next(&mut log.subscribe(partition(0), Position::START), 1).await;
}
