//! Brokers that stop, change leaders, or do not answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{EventLog, KafkaConfig, LogError, Submitted};
use upwrite_events::{Event, MutationId, Position, Stream};
use upwrite_testkit::kafka::{Broker, Options};
use upwrite_testkit::until;

use super::harness::{KafkaHarness, Where};
use super::relay::Relay;
use crate::harness::{Harness as _, LIMIT};
use crate::postgres::harness::PostgresHarness;
use crate::sample::{accepted, assert_gap_free, home, next, noted, partition, submission};

/// A broker behind a relay, and the relay.
async fn relayed() -> (KafkaHarness, Arc<Relay>) {
    let (relay, listener) = Relay::start().await;
    let options = Options { advertised_port: Some(relay.port()), ..Options::default() };
    let broker = Broker::start(options).await;
    relay.to(listener, broker.port());
    (KafkaHarness::on(Where::Own(broker), PostgresHarness::shared().await, false).await, relay)
}

/// Requests and voids of that mutation, in the order in which they stand, once a void is there.
async fn life(
    log: &Arc<dyn EventLog>,
    partition: upwrite_events::Partition,
    mutation: MutationId,
) -> Vec<&'static str> {
    until(LIMIT, "the void", || async {
        let records = log.read(partition, Position::START, 1000).await.ok()?;
        let events = records.iter().filter_map(|record| record.event.as_ref().ok());
        let names: Vec<_> =
            events.filter(|event| event.mutation() == Some(mutation)).map(upwrite_events::Event::name).collect();
        names.contains(&"MutationVoided").then_some(names)
    })
    .await
}

/// Hazard B6: the request is there, and its answer is lost. The void comes behind it and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_an_answer_that_is_lost_leaves_the_request_standing() {
    let (harness, relay) = relayed().await;
    let (log, table) = (harness.process().await, harness.table());
    log.append(partition(0), vec![noted("connected")]).await.unwrap();
    relay.lose_answers();
    let wish = submission(&table, &[("a", None)]);
    let lost = log.submit(wish.clone()).await;
    assert!(matches!(lost, Err(LogError::Unknown(_))), "{lost:?}");
    assert_eq!(harness.claimed().await, 1, "claims end with the mutation, not with the answer");
    relay.heal();
    let life = life(&log, home(&log, &table, "a"), wish.request.mutation).await;
    assert_eq!(life[0], "MutationRequested", "{life:?}");
    assert_eq!(life.iter().filter(|name| **name == "MutationRequested").count(), 1, "{life:?}");
    assert_eq!(harness.claimed().await, 1);
}

/// Hazard B6: the request never arrives. The void stands alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_a_request_that_is_lost_is_voided() {
    let (harness, relay) = relayed().await;
    let (log, table) = (harness.process().await, harness.table());
    log.append(partition(0), vec![noted("connected")]).await.unwrap();
    relay.lose_requests();
    let wish = submission(&table, &[("a", None)]);
    let lost = log.submit(wish.clone()).await;
    assert!(matches!(lost, Err(LogError::Unknown(_))), "{lost:?}");
    relay.heal();
    let life = life(&log, home(&log, &table, "a"), wish.request.mutation).await;
    assert!(life.iter().all(|name| *name == "MutationVoided"), "{life:?}");
}

/// Hazard B6: the broker stands still for longer than a produce may take, and goes on with what it had received. First
/// in the partition counts; all readers see the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_a_broker_that_stood_still_takes_request_and_void_in_one_order() {
    let harness = KafkaHarness::own().await;
    let (log, table) = (harness.process().await, harness.table());
    let mut reader = log.subscribe(partition(0), Position::START);
    log.append(partition(0), vec![noted("connected")]).await.unwrap();
    next(&mut reader, 1).await;
    harness.broker().pause().await;
    let wish = submission(&table, &[("a", None)]);
    let (append, lost) = tokio::join!(log.append(partition(0), vec![noted("late")]), log.submit(wish.clone()));
    assert!(matches!(append, Err(LogError::Unknown(_))), "{append:?}");
    assert!(matches!(lost, Err(LogError::Unknown(_))), "{lost:?}");
    harness.broker().resume().await;
    let home = home(&log, &table, "a");
    let seen = life(&log, home, wish.request.mutation).await;
    assert!(seen.iter().filter(|name| **name == "MutationRequested").count() <= 1, "{seen:?}");
    until(LIMIT, "the log to take events again", || async { log.append(home, vec![noted("after")]).await.ok() }).await;
    let other = harness.process().await;
    assert_eq!(life(&other, home, wish.request.mutation).await[..seen.len()], seen);
}

/// Whoever may wait for the log to tell is answered definitely.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_a_caller_that_may_wait_is_told_what_became_of_it() {
    let (harness, relay) = relayed().await;
    let config = KafkaConfig { settle_timeout: Duration::from_secs(20), ..harness.config() };
    let (log, table) = (harness.open(config).await, harness.table());
    for (round, requests_lost) in [false, true, false].into_iter().enumerate() {
        let key = format!("{round}");
        let home = home(&log, &table, &key);
        // One of the same partition before it, so that nothing need be asked of the brokers during the fault.
        let before = (0..).map(|n| format!("{round}-{n}")).find(|key| self::home(&log, &table, key) == home).unwrap();
        accepted(log.submit(submission(&table, &[(&before, None)])).await.unwrap());
        if requests_lost {
            relay.lose_requests()
        } else {
            relay.lose_answers()
        }
        let wish = submission(&table, &[(&key, None)]);
        let mut asked = {
            let (log, wish) = (Arc::clone(&log), wish.clone());
            tokio::spawn(async move { log.submit(wish).await })
        };
        // The fault lasts longer than a produce may.
        let answered = timeout(harness.config().answer_timeout + Duration::from_millis(1500), &mut asked).await;
        assert!(answered.is_err(), "answered during the fault: {answered:?}");
        relay.heal();
        let told = asked.await.unwrap();
        let events = log.read(home, Position::START, 1000).await.unwrap();
        let own = events
            .iter()
            .find(|record| record.event.as_ref().is_ok_and(|event| event.mutation() == Some(wish.request.mutation)));
        let own = own.expect("the request or its void");
        match told {
            Ok(Submitted::Accepted { position, .. }) => {
                assert!(!requests_lost && position == own.position, "{own:?}");
                assert_eq!(own.event, Ok(Event::MutationRequested(wish.request)));
            }
            Err(LogError::NotAppended(_)) => {
                assert!(requests_lost && matches!(own.event, Ok(Event::MutationVoided(_))), "{own:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The node that leads partition 0 of the mutations. A broker that has just started may not know yet: it is asked again.
async fn leader(harness: &KafkaHarness) -> usize {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &harness.config().brokers);
    let client: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
    let topic = harness.config().topic(Stream::Mutations);
    let brokers = harness.brokers();
    until(LIMIT, "a leader", || {
        let (client, topic) = (Arc::clone(&client), topic.clone());
        let ask = move || client.fetch_metadata(Some(&topic), Duration::from_secs(5));
        async move {
            let metadata = tokio::task::spawn_blocking(ask).await.unwrap().ok()?;
            let partition = metadata.topics().first()?.partitions().iter().find(|partition| partition.id() == 0)?;
            (0..brokers.count()).find(|n| brokers.node_id(*n) == partition.leader())
        }
    })
    .await
}

/// What became of a writer's events.
#[derive(Default)]
struct Written {
    acknowledged: BTreeSet<(i64, String)>,
    refused: BTreeSet<String>,
}

/// Writers that append one event after the other. Dropped, also by a test that fails, they end.
struct Writers {
    acknowledged: Arc<AtomicUsize>,
    stop: CancellationToken,
    tasks: JoinSet<Written>,
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Writers {
    fn start(log: &Arc<dyn EventLog>, count: usize) -> Self {
        let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let mut tasks = JoinSet::new();
        for writer in 0..count {
            tasks.spawn(write(Arc::clone(log), writer, Arc::clone(&acknowledged), stop.clone()));
        }
        Self { acknowledged, stop, tasks }
    }

    /// Until so many more events were acknowledged.
    async fn more(&self, count: usize) {
        let wanted = self.acknowledged.load(Ordering::SeqCst) + count;
        until(LIMIT * 2, "writers to get on", || async {
            (self.acknowledged.load(Ordering::SeqCst) >= wanted).then_some(())
        })
        .await;
    }

    async fn stop(mut self) -> Written {
        self.stop.cancel();
        let mut all = Written::default();
        while let Some(written) = self.tasks.join_next().await {
            let written = written.unwrap();
            all.acknowledged.extend(written.acknowledged);
            all.refused.extend(written.refused);
        }
        all
    }
}

async fn write(
    log: Arc<dyn EventLog>,
    writer: usize,
    acknowledged: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Written {
    let mut written = Written::default();
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let reason = format!("{writer}-{number}");
        match log.append(partition(0), vec![noted(&reason)]).await {
            Ok(positions) => {
                written.acknowledged.insert((positions[0].0, reason));
                acknowledged.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            Err(LogError::NotAppended(_)) => {
                written.refused.insert(reason);
            }
            Err(LogError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
        // An error may come at once, and again and again: what is tried then is not to fill the memory.
        let _ = timeout(Duration::from_millis(20), stop.cancelled()).await;
    }
    written
}

/// The leader is killed, three times, under writers: what was acknowledged is there once, in the order that was told, and
/// readers go on by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_change_under_load() {
    let harness = KafkaHarness::three().await;
    let config = KafkaConfig { answer_timeout: Duration::from_secs(15), ..harness.config() };
    let log = harness.open(config).await;
    let writers = Writers::start(&log, 4);
    let mut reader = log.subscribe(partition(0), Position::START);
    for _ in 0..3 {
        writers.more(50).await;
        let leading = leader(&harness).await;
        harness.brokers().kill9(leading).await;
        writers.more(50).await;
        harness.brokers().restart(leading).await;
    }
    let Written { acknowledged, refused } = writers.stop().await;
    let end = log.end(partition(0)).await.unwrap();
    let records = next(&mut reader, usize::try_from(end.0).unwrap()).await;
    assert_gap_free(&records, 0);
    let read: Vec<_> = records
        .into_iter()
        .map(|record| match record.event {
            Ok(Event::MutationVoided(voided)) => (record.position.0, voided.reason),
            other => panic!("not one of ours: {other:?}"),
        })
        .collect();
    let found: BTreeSet<_> = read.iter().cloned().collect();
    assert!(acknowledged.is_subset(&found), "lost: {:?}", acknowledged.difference(&found));
    let reasons: BTreeSet<_> = read.iter().map(|(_, reason)| reason.clone()).collect();
    assert_eq!(reasons.len(), read.len(), "something is there twice");
    assert!(refused.is_disjoint(&reasons), "refused, and yet there");
}
