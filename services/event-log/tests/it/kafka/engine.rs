//! What is particular to the Kafka engine.

use std::collections::HashMap;

use futures::{FutureExt as _, StreamExt as _};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog as _, KafkaLog, LogError, Submitted};
use upwrite_events::{Event, OwnerId, PartitionTaken, Position, Stream, encode};
use upwrite_testkit::until;

use super::harness::KafkaHarness;
use crate::harness::{Harness as _, LIMIT};
use crate::sample::{accepted, assert_gap_free, home, large, next, noted, partition, submission};

pub(crate) fn admin(harness: &KafkaHarness) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &harness.config().brokers).create().unwrap()
}

/// The first records of a topic's partition, read by a consumer that knows nothing of us.
pub(crate) fn consume(harness: &KafkaHarness, topic: &str, number: i32, count: usize) -> Vec<OwnedMessage> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &harness.config().brokers).set("group.id", "judge");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    (0..count).map(|_| consumer.poll(LIMIT).expect("a record").unwrap().detach()).collect()
}

fn headers(message: &OwnedMessage) -> HashMap<&str, &str> {
    let text = |value| std::str::from_utf8(value).unwrap();
    message.headers().unwrap().iter().map(|header| (header.key, text(header.value.unwrap()))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_headers_and_values_are_as_documented() {
    let harness = KafkaHarness::shared().await;
    let (log, table) = (harness.process().await, harness.table());
    let mut wish = submission(&table, &[("a", None)]);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    wish.request.traceparent = Some(traceparent.to_owned());
    accepted(log.submit(wish.clone()).await.unwrap());
    let home = home(&log, &table, "a");
    let owner = OwnerId(uuid::Uuid::now_v7());
    let taken = Event::PartitionTaken(PartitionTaken { owner, process: "test".to_owned(), lease_ms: 1 });
    log.append(home, vec![taken.clone()]).await.unwrap();
    let observed = upwrite_events::Partition { stream: Stream::Observations, number: 2 };
    log.append(observed, vec![large(&table, 10)]).await.unwrap();

    let topic = harness.config().topic(Stream::Mutations);
    let records = consume(&harness, &topic, i32::from(home.number), 2);
    let id = wish.request.mutation.to_string();
    assert_eq!(records[0].key().unwrap(), id.as_bytes());
    assert_eq!(records[0].payload().unwrap(), encode(&Event::MutationRequested(wish.request)).unwrap());
    let expected = [
        ("upwrite-event", "MutationRequested"),
        ("upwrite-schema", "1"),
        ("upwrite-mutation", id.as_str()),
        ("traceparent", traceparent),
    ];
    assert_eq!(headers(&records[0]), HashMap::from(expected));
    assert_eq!(records[1].key().unwrap(), owner.to_string().as_bytes());
    assert_eq!(records[1].payload().unwrap(), encode(&taken).unwrap());
    let records = consume(&harness, &harness.config().topic(Stream::Observations), 2, 1);
    assert_eq!(records[0].key().unwrap(), table.to_string().as_bytes());
    assert_eq!(headers(&records[0])["upwrite-event"], "RecordsObserved");
}

/// Hazard B20: an unknown newer version of a schema stops its partition, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_stops_its_partition() {
    let harness = KafkaHarness::shared().await;
    let log = harness.process().await;
    log.append(partition(0), vec![noted("before")]).await.unwrap();
    let topic = harness.config().topic(Stream::Mutations);
    let unknown = [&[0xC3, 1][..], &[7; 40]].concat();
    harness.write(&topic, 0, &[("upwrite-event", "MutationVoided"), ("upwrite-schema", "2")], &unknown).await;
    log.append(partition(0), vec![noted("after")]).await.unwrap();
    let mut reader = log.subscribe(partition(0), Position::START);
    assert_gap_free(&next(&mut reader, 1).await, 0);
    let stopped = tokio::time::timeout(LIMIT, reader.next()).await.unwrap();
    let Some(Err(LogError::Newer(text))) = &stopped else { panic!("{stopped:?}") };
    assert!(text.contains("MutationVoided by version 2") && text.contains("position 1"), "{text}");
    assert!(reader.next().await.is_none());
    assert!(matches!(log.read(partition(0), Position(1), 10).await, Err(LogError::Newer(_))));
    // Without such headers the same bytes are foreign.
    harness.write(&topic, 1, &[], &unknown).await;
    log.append(partition(1), vec![noted("after")]).await.unwrap();
    let records = next(&mut log.subscribe(partition(1), Position::START), 2).await;
    assert!(records[0].event.is_err() && records[1].event.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_of_one_partition_come_and_go() {
    let harness = KafkaHarness::shared().await;
    let log = harness.process().await;
    log.append(partition(0), (0..20).map(|n| noted(n.to_string())).collect()).await.unwrap();
    for round in 0..10 {
        let mut readers: Vec<_> = (0..3).map(|_| log.subscribe(partition(0), Position(round))).collect();
        for reader in &mut readers {
            assert_gap_free(&next(reader, 20).await, round);
        }
        log.append(partition(0), vec![noted("more")]).await.unwrap();
        for reader in &mut readers {
            assert_gap_free(&next(reader, 1).await, 20 + round);
        }
    }
}

/// Dead letters keep the original bytes and say where they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_copied_with_their_origin() {
    let harness = KafkaHarness::shared().await;
    let log = harness.process().await;
    harness.append_silently(partition(3), b"foreign").await;
    let records = next(&mut log.subscribe(partition(3), Position::START), 1).await;
    log.dead_letter(&records[0]).await.unwrap();
    let letters = consume(&harness, &harness.config().dead_letters_topic(), 0, 1);
    assert_eq!(letters[0].payload().unwrap(), b"foreign");
    let headers = headers(&letters[0]);
    assert_eq!(headers["upwrite-origin-topic"], harness.config().topic(Stream::Mutations));
    assert_eq!((headers["upwrite-origin-partition"], headers["upwrite-origin-offset"]), ("3", "0"));
    assert_eq!(headers["upwrite-reason"], "not an Avro single object");
}

/// What the broker refuses for what it is, is definitely not there: the claims go at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_broker_refuses_leaves_no_claim() {
    let harness = KafkaHarness::shared().await;
    let (log, table) = (harness.process().await, harness.table());
    let topic = harness.config().topic(Stream::Mutations);
    let small = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "2000");
    admin(&harness).alter_configs([&small], &AdminOptions::new()).await.unwrap();
    let mut wish = submission(&table, &[("a", None)]);
    wish.request.rows[0].changed.insert("note".to_owned(), Some("x".repeat(10_000)));
    let refused = log.submit(wish).await;
    assert!(matches!(refused, Err(LogError::NotAppended(_))), "{refused:?}");
    until(LIMIT, "the claim to go", || async { (harness.claimed().await == 0).then_some(()) }).await;
    accepted(log.submit(submission(&table, &[("a", None)])).await.unwrap());
}

/// The caller goes away between claim and produce: the request is sent all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_outlives_whoever_asked_for_it() {
    let harness = KafkaHarness::shared().await;
    let (log, table) = (harness.process().await, harness.table());
    let asked = log.submit(submission(&table, &[("a", None)]));
    assert!(asked.now_or_never().is_none());
    next(&mut log.subscribe(home(&log, &table, "a"), Position::START), 1).await;
    let again = log.submit(submission(&table, &[("a", None)])).await.unwrap();
    assert!(matches!(again, Submitted::Claimed { .. }), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_finishes_what_was_sent_and_refuses_the_rest() {
    let (harness, shutdown) = (KafkaHarness::shared().await, CancellationToken::new());
    let log = KafkaLog::open(harness.database().service_pool(), harness.config(), shutdown.clone()).await.unwrap();
    let sent: Vec<_> = (0..20).map(|n| log.append(partition(0), vec![noted(n.to_string())])).collect();
    let mut sent = Box::pin(futures::future::join_all(sent));
    assert!(futures::poll!(&mut sent).is_pending());
    shutdown.cancel();
    assert!(sent.await.iter().all(Result::is_ok));
    let late = log.append(partition(0), vec![noted("late")]).await;
    assert!(matches!(late, Err(LogError::NotAppended(_))), "{late:?}");
    let late = log.submit(submission(&harness.table(), &[("a", None)])).await;
    assert!(matches!(late, Err(LogError::NotAppended(_))), "{late:?}");
    assert_eq!((log.end(partition(0)).await.unwrap(), harness.claimed().await), (Position(20), 0));
}

/// More callers than the queue holds: they wait, none is refused, and none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_makes_callers_wait() {
    let harness = KafkaHarness::shared().await;
    let config = upwrite_event_log::KafkaConfig { queue_items: 8, queue_bytes: 4096, ..harness.config() };
    let log = harness.open(config).await;
    let appends = (0..500).map(|n| log.append(partition(0), vec![noted(format!("{n}{}", "x".repeat(200)))]));
    let appended = futures::future::join_all(appends).await;
    let mut positions: Vec<_> = appended.into_iter().map(|positions| positions.unwrap()[0].0).collect();
    positions.sort_unstable();
    assert_eq!(positions, (0..500).collect::<Vec<_>>());
    // One that is larger than all that may wait fits all the same.
    log.append(partition(0), vec![noted("y".repeat(10_000)), noted("z")]).await.unwrap();
}
