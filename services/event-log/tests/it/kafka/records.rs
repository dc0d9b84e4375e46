//! The topics of synced tables: every version once, in order, whatever dies.

pub(crate) mod world;

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::kafka::{self, RecordsError, Registry as Address, run_records};
use upwrite_event_log::{KafkaConfig, Membership, MembershipEvent, SoleMember};
use upwrite_events::{RecordChanged, Row, decode_record, encode_record};
use upwrite_testkit::kafka::Registry;
use upwrite_testkit::postgres::Options;
use upwrite_testkit::until;
use uuid::Uuid;

use super::engine::admin;
use super::harness::KafkaHarness;
use crate::harness::{Harness as _, LIMIT};
use world::{World, load, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_and_a_deletion_are_as_documented() {
    let world = World::shared().await;
    let mutation = Uuid::now_v7();
    let put = "/* test.put */ insert into upwrite.outbox \
            (source, table_name, key, version, vendor_version, image, mutation, written_at) \
        values ('crm', 'contact', 'a', 1, 'v1', '{\"id\": \"a\", \"n\": null}', $1, '2026-01-31T10:20:30.25Z'), \
               ('crm', 'contact', 'a', 2, null, null, null, now()), \
               ('crm', 'another', 'x', 1, null, '{}', null, now())";
    sqlx::query(put).bind(mutation).execute(world.harness.database().admin()).await.unwrap();
    let (stop, publisher) = world.publish();
    until(LIMIT, "the table's rows to go", || async { (world.waiting().await == 1).then_some(()) }).await;
    let seen = world.seen().await;
    assert_eq!(seen.iter().map(|seen| seen.key.as_str()).collect::<Vec<_>>(), ["a", "a"]);
    let expected = RecordChanged {
        source: "crm".to_owned(),
        table: "contact".to_owned(),
        key: "a".to_owned(),
        version: 1,
        vendor_version: Some("v1".to_owned()),
        mutation: Some(upwrite_events::MutationId(mutation)),
        written_at_us: 1_769_854_830_250_000,
        row: Row::from([("id".to_owned(), Some("a".to_owned())), ("n".to_owned(), None)]),
    };
    assert_eq!(decode_record(seen[0].value.as_ref().unwrap()).unwrap(), expected);
    assert_eq!(seen[0].headers["upwrite-mutation"], mutation.to_string());
    assert_eq!(seen[1].value, None);
    assert!(!seen[1].headers.contains_key("upwrite-mutation"));
    for (seen, version) in seen.iter().zip(["1", "2"]) {
        assert_eq!(seen.headers["upwrite-event"], "RecordChanged");
        assert_eq!((seen.headers["upwrite-schema"].as_str(), seen.headers["upwrite-version"].as_str()), ("1", version));
        assert!(seen.headers.contains_key("upwrite-outbox"));
    }
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_registry_values_name_a_registered_schema() {
    let world = World::shared().await;
    let url = Registry::shared().await.url();
    let registry = Some(Address { url: url.clone(), username: None, password: None, ca: None });
    let (stop, publisher) = world.publish_with(KafkaConfig { registry, ..world.harness.config() });
    world.write(&["a"]).await;
    world.until_empty().await;
    let value = world.seen().await[0].value.clone().unwrap();
    let id = u32::from_be_bytes(value[1..5].try_into().unwrap());
    let subject = format!("{url}/subjects/{}-upwrite.v1.RecordChanged/versions/latest", world.topic());
    let found: serde_json::Value =
        serde_json::from_str(&reqwest::get(subject).await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!((value[0], found["id"].as_u64()), (0, Some(u64::from(id))));
    let mut single = encode_record(&bare()).unwrap()[..10].to_vec();
    single.extend_from_slice(&value[5..]);
    assert_eq!(decode_record(&single).unwrap().key, "a");
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

fn bare() -> RecordChanged {
    RecordChanged {
        source: String::new(),
        table: String::new(),
        key: String::new(),
        version: 0,
        vendor_version: None,
        mutation: None,
        written_at_us: 0,
        row: Row::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_comes_once_and_in_order_of_its_key() {
    let world = World::shared().await;
    let (stop, publisher) = world.publish();
    for writer in load(&world, 100, &CancellationToken::new()) {
        writer.await.unwrap();
    }
    world.until_empty().await;
    world.assert_complete().await;
    assert_eq!(world.seen().await.len(), 900);
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

/// More rows than one batch takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outbox_is_published_batch_by_batch() {
    let world = World::shared().await;
    let keys: Vec<String> = (0..3500).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    world.write(&keys).await;
    world.write(&keys).await;
    let (stop, publisher) = world.publish();
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

/// A row with a lower id becomes visible after one with a higher id was published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_id_that_is_committed_later_is_published_and_holds_up_nobody() {
    let world = World::shared().await;
    let (stop, publisher) = world.publish();
    let mut slow = world.harness.database().admin().begin().await.unwrap();
    write(&mut slow, &["slow"]).await;
    world.write(&["fast"]).await;
    world.until_empty().await;
    assert_eq!(world.seen().await.len(), 1, "the open transaction holds nobody up");
    // The transaction with the lower number writes the later version: neither number nor time of its begin says so.
    world.write(&["x"]).await;
    write(&mut slow, &["x"]).await;
    slow.commit().await.unwrap();
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

/// Publishes what is in the outbox and dies between the commit in Kafka and the removal.
async fn publish_and_crash(world: &World, already: usize) {
    let waiting = usize::try_from(world.waiting().await).unwrap();
    let mut lock = world.harness.database().admin().begin().await.unwrap();
    sqlx::query("/* test.lock */ select from upwrite.outbox for update").execute(&mut *lock).await.unwrap();
    let (_, publisher) = world.publish();
    world.until_seen(already + waiting).await;
    let blocked = "/* test.blocked */ select pid from pg_stat_activity where datname = current_database() \
        and wait_event_type = 'Lock' and query like '/* records.remove%'";
    let pid = until(LIMIT, "the removal to wait", || async {
        sqlx::query_scalar::<_, i32>(blocked).fetch_optional(world.harness.database().admin()).await.unwrap()
    })
    .await;
    publisher.abort();
    assert!(publisher.await.unwrap_err().is_cancelled());
    let end = "/* test.end */ select pg_terminate_backend($1, 5000)";
    assert!(sqlx::query_scalar::<_, bool>(end).bind(pid).fetch_one(&mut *lock).await.unwrap());
    lock.rollback().await.unwrap();
    assert_eq!(usize::try_from(world.waiting().await).unwrap(), waiting, "nothing was removed");
}

/// Hazard: a crash after the commit in Kafka and before the rows are removed, more than once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_commit_and_removal_repeats_nothing() {
    let world = World::shared().await;
    for keys in [["a", "b", "c"], ["a", "b", "d"], ["a", "e", "f"]] {
        world.write(&keys).await;
    }
    publish_and_crash(&world, 0).await;
    // Written meanwhile, also of the same keys.
    world.write(&["a", "b", "g"]).await;
    let (stop, publisher) = world.publish();
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
    world.write(&["a", "b"]).await;
    publish_and_crash(&world, 12).await;
    aborted(&world, 4000);
    let (stop, publisher) = world.publish();
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

/// What publishers leave behind that die in the middle of their batches: more than is read back at first.
fn aborted(world: &World, records: usize) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.harness.config().brokers).set("transactional.id", world.topic());
    let (producer, topic): (FutureProducer, _) = (config.create().unwrap(), world.topic());
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    for number in 0..4 {
        for _ in 0..records {
            let record = FutureRecord::to(&topic).partition(number).key("a").payload("never committed");
            drop(producer.send_result(record).unwrap());
        }
    }
    producer.flush(LIMIT).unwrap();
    producer.abort_transaction(LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_of_two_publishers_is_fenced_and_nothing_comes_twice() {
    let world = World::shared().await;
    let (mut stop, mut publisher) = world.publish();
    world.write(&["k0"]).await;
    world.until_empty().await;
    let enough = CancellationToken::new();
    let writers = load(&world, usize::MAX, &enough);
    for mark in ["m1", "m2", "m3"] {
        let (newer, newest) = world.publish();
        let fenced = tokio::time::timeout(LIMIT, publisher).await.expect("it is fenced").unwrap();
        assert_eq!(fenced, Err(RecordsError::Fenced(world.table.clone())));
        (stop, publisher) = (newer, newest);
        // It works before the next one comes.
        world.write(&[mark]).await;
        until(LIMIT, "a row to be published", || async {
            let there = sqlx::query("/* test.mark */ select from upwrite.outbox where key = $1").bind(mark);
            there.fetch_optional(world.harness.database().admin()).await.unwrap().is_none().then_some(())
        })
        .await;
    }
    enough.cancel();
    for writer in writers {
        writer.await.unwrap();
    }
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_and_postgres_that_die_lose_and_repeat_nothing() {
    let world = World::on(KafkaHarness::own_with_database(Options::default()).await).await;
    let (stop, publisher) = world.publish();
    for round in 0..3 {
        let keys: Vec<String> = (0..1500).map(|n| format!("k{}", n + 100 * round)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        world.write(&keys).await;
        world.until_seen(usize::from(round > 0) * 1500 + 1).await;
        match round {
            0 => {
                world.harness.broker().kill9().await;
                world.write(&keys).await;
                world.harness.broker().restart().await;
            }
            1 => {
                world.harness.database().kill().await;
                world.harness.database().restart().await;
                until(LIMIT, "Postgres", || async {
                    let asked = sqlx::query("select 1").execute(world.harness.database().admin()).await;
                    asked.ok().map(drop)
                })
                .await;
            }
            _ => {}
        }
    }
    world.until_empty().await;
    world.assert_complete().await;
    stop.cancel();
    assert_eq!(publisher.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topic_is_compacted_and_wrong_settings_are_told() {
    let world = World::shared().await;
    let (topic, admin) = (world.topic(), admin(&world.harness));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.unwrap();
    let resource = described.into_iter().next().unwrap().unwrap();
    let setting = |name: &str| resource.get(name).and_then(|entry| entry.value.clone()).unwrap();
    assert_eq!(setting("cleanup.policy"), "compact");
    assert_eq!(setting("unclean.leader.election.enable"), "false");
    assert_eq!(setting("delete.retention.ms"), world.harness.config().retention.as_millis().to_string());
    let wrong = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", "delete");
    admin.alter_configs([&wrong], &AdminOptions::new()).await.unwrap();
    let tables = std::slice::from_ref(&world.table);
    let told = kafka::prepare(&world.harness.config(), 4, tables).await.unwrap_err().to_string();
    assert!(told.contains(&format!("topic {topic} has cleanup.policy = delete, and must have compact")), "{told}");
}

/// A membership that a test decides on.
struct Decided {
    changes: mpsc::UnboundedReceiver<MembershipEvent>,
    given_back: mpsc::UnboundedSender<u16>,
}

#[async_trait]
impl Membership for Decided {
    async fn changed(&mut self) -> MembershipEvent {
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }

    async fn give_back(&mut self, item: u16) {
        self.given_back.send(item).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_published_by_whom_they_are_assigned_to() {
    let world = World::shared().await;
    let pool = world.harness.database().service_pool();
    let tables = kafka::synced_tables(&pool).await.unwrap();
    assert_eq!(tables, std::slice::from_ref(&world.table));
    let (change, changes) = mpsc::unbounded_channel();
    let (given_back, mut back) = mpsc::unbounded_channel();
    let (member, shutdown) = (Box::new(Decided { changes, given_back }), CancellationToken::new());
    let config = world.harness.config();
    let running = tokio::spawn(run_records(config.clone(), pool.clone(), tables.clone(), member, shutdown.clone()));
    world.write(&["a"]).await;
    change.send(MembershipEvent::Assigned(0)).unwrap();
    // One that is not known here is nobody's trouble.
    change.send(MembershipEvent::Assigned(7)).unwrap();
    world.until_empty().await;
    change.send(MembershipEvent::Recalled(0)).unwrap();
    let given = tokio::time::timeout(LIMIT, back.recv()).await.expect("it is given back");
    assert_eq!(given, Some(0));

    // Another process has it now; the first one, which is told so again, takes it back.
    let other = CancellationToken::new();
    let alone = Box::new(SoleMember::new(1));
    let others = tokio::spawn(run_records(config, pool, tables, alone, other.clone()));
    world.write(&["a", "b"]).await;
    world.until_empty().await;
    other.cancel();
    assert_eq!(tokio::time::timeout(LIMIT, others).await.unwrap().unwrap(), Ok(()));
    change.send(MembershipEvent::Assigned(0)).unwrap();
    world.write(&["a", "b"]).await;
    world.until_empty().await;
    change.send(MembershipEvent::Lost(0)).unwrap();
    change.send(MembershipEvent::Assigned(0)).unwrap();
    world.write(&["c"]).await;
    world.until_empty().await;
    shutdown.cancel();
    assert_eq!(tokio::time::timeout(LIMIT, running).await.unwrap().unwrap(), Ok(()));
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), back.recv()).await.unwrap(), Some(0));
    world.assert_complete().await;
}
