//! Stock consumers that know nothing of this project, but the registry's address, read every topic: the programs of
//! `docs/examples`, as they stand there.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use upwrite_event_log::{EventLog, KafkaConfig, LogRecord, Undecodable, kafka};
use upwrite_events::*;
use upwrite_testkit::kafka::Registry;
use upwrite_testkit::{example, java_example, python};
use uuid::Uuid;

use super::harness::KafkaHarness;
use crate::sample::{new_id, submission};

struct Site {
    harness: KafkaHarness,
    config: KafkaConfig,
    log: Arc<dyn EventLog>,
}

impl Site {
    async fn new() -> Self {
        let harness = KafkaHarness::shared().await;
        let url = Registry::shared().await.url();
        let registry = Some(kafka::Registry { url, username: None, password: None, ca: None });
        let config = KafkaConfig { registry, ..harness.config() };
        let log = harness.open(config.clone()).await;
        Self { harness, config, log }
    }

    fn registry(&self) -> String {
        self.config.registry.as_ref().unwrap().url.clone()
    }

    fn topic(&self, stream: Stream) -> String {
        self.config.topic(stream)
    }

    /// Where everything of this test stands.
    fn partition(stream: Stream) -> Partition {
        Partition { stream, number: 1 }
    }

    async fn append(&self, event: &Event) -> i64 {
        let stream = if event.name() == "RecordsObserved" { Stream::Observations } else { Stream::Mutations };
        self.log.append(Self::partition(stream), vec![event.clone()]).await.unwrap()[0].0
    }

    /// One of each, as they have been written since the first version.
    async fn append_every_event(&self) -> Vec<Stood> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/avro/golden");
        let mut all = Vec::new();
        for schema in EVENT_SCHEMAS {
            let bytes = std::fs::read(golden.join(format!("{}.{}.avro", schema.event, schema.version))).unwrap();
            let event = decode(&bytes).unwrap();
            let offset = self.append(&event).await;
            all.push(self.stood(offset, &event));
        }
        assert!(all.len() >= 16);
        all
    }

    /// What every consumer must see of it.
    fn stood(&self, offset: i64, event: &Event) -> Stood {
        let (stream, key) = match event {
            Event::PartitionTaken(event) => (Stream::Mutations, event.owner.to_string()),
            Event::PartitionReleased(event) => (Stream::Mutations, event.owner.to_string()),
            Event::RecordsObserved(event) => (Stream::Observations, event.table.to_string()),
            other => (Stream::Mutations, other.mutation().unwrap().to_string()),
        };
        let mut headers = BTreeMap::from([("upwrite-event".to_owned(), event.name().to_owned())]);
        headers.insert("upwrite-schema".to_owned(), "1".to_owned());
        if let Some(mutation) = event.mutation() {
            headers.insert("upwrite-mutation".to_owned(), mutation.to_string());
        }
        if let Event::MutationRequested(MutationRequested { traceparent: Some(traceparent), .. }) = event {
            headers.insert("traceparent".to_owned(), traceparent.clone());
        }
        let value = serde_json::to_value(event).unwrap()[event.name()].clone();
        Stood { topic: self.topic(stream), partition: 1, offset, key, headers, value }
    }

    fn both_topics(&self) -> [String; 2] {
        [self.topic(Stream::Mutations), self.topic(Stream::Observations)]
    }
}

/// A record, as far as a consumer can see it.
#[derive(Debug, Clone, PartialEq)]
struct Stood {
    topic: String,
    partition: i64,
    offset: i64,
    key: String,
    headers: BTreeMap<String, String>,
    value: Value,
}

/// What the program printed; it has to succeed.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn python_program(path: &'static str, arguments: Vec<String>) -> String {
    let interpreter = tokio::task::spawn_blocking(python).await.unwrap();
    let mut command = Command::new(interpreter);
    command.arg(example(path)).args(arguments);
    run(command).await
}

/// Topics come in any order among each other, a partition's records only in theirs.
fn by_topic(records: Vec<Stood>) -> HashMap<String, Vec<Stood>> {
    let mut topics: HashMap<String, Vec<Stood>> = HashMap::new();
    for record in records {
        topics.entry(record.topic.clone()).or_default().push(record);
    }
    topics
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_reads_every_event() {
    let site = Site::new().await;
    let expected = site.append_every_event().await;
    let arguments = [site.config.brokers.clone(), site.registry()].into_iter().chain(site.both_topics()).collect();
    let said = python_program("consume/python/consume.py", arguments).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let headers = record["headers"].as_object().unwrap();
        Stood {
            topic: text(&record["topic"]),
            partition: record["partition"].as_i64().unwrap(),
            offset: record["offset"].as_i64().unwrap(),
            key: text(&record["key"]),
            headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            value: record["value"].clone(),
        }
    };
    assert_eq!(by_topic(said.lines().map(read).collect()), by_topic(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_reads_every_event() {
    let site = Site::new().await;
    let expected = site.append_every_event().await;
    let mut command = tokio::task::spawn_blocking(java_example).await.unwrap();
    // The registry's own API, beside Confluent's.
    let registry = site.registry().replace("/apis/ccompat/v7", "/apis/registry/v2");
    command.args([&site.config.brokers, &registry]).args(site.both_topics());
    let said = run(command).await;
    let read = |line: &str| {
        let (place, rest) = line.split_once(" {").unwrap();
        let (headers, value) = rest.split_once("} ").unwrap();
        let [topic, partition, offset, key] = place.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let header = |header: &str| {
            let (name, value) = header.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        Stood {
            topic: topic.to_owned(),
            partition: partition.parse().unwrap(),
            offset: offset.parse().unwrap(),
            key: key.to_owned(),
            headers: headers.split(", ").map(header).collect(),
            value: serde_json::from_str(value).unwrap_or_else(|error| panic!("{error}: {value}")),
        }
    };
    assert_eq!(by_topic(said.lines().map(read).collect()), by_topic(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcat_lists_every_topic() {
    let site = Site::new().await;
    let expected = site.append_every_event().await;
    let undecodable = Undecodable { reason: "not an Avro value".to_owned(), value: b"foreign".to_vec() };
    let at = Site::partition(Stream::Mutations);
    let letter = LogRecord { partition: at, position: Position(7), appended_at_us: 1, event: Err(undecodable) };
    site.log.dead_letter(&letter).await.unwrap();

    let list = |topic: String| {
        let mut command = Command::new(example("consume/kcat/consume.sh"));
        command.arg(&site.config.brokers).arg(topic);
        run(command)
    };
    let mut lines = Vec::new();
    for topic in site.both_topics() {
        lines.extend(list(topic).await.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    assert_eq!(lines.len(), expected.len());
    for (line, record) in lines.iter().zip(&expected) {
        let begin = format!("1 {} {} upwrite-event={},", record.offset, record.key, record.headers["upwrite-event"]);
        assert!(line.starts_with(&begin), "{line} is not {record:?}");
    }
    let letters = list(site.config.dead_letters_topic()).await;
    let topic = site.topic(Stream::Mutations);
    let begin = format!("0 0 {at}:7 upwrite-origin-topic={topic},upwrite-origin-partition=1,upwrite-origin-offset=7,");
    assert!(
        letters.starts_with(&begin) && letters.trim_end().ends_with("upwrite-reason=not an Avro value 7"),
        "{letters}"
    );
}

/// The events of some mutations, in the order of their partition.
struct Story {
    owner: OwnerId,
    events: Vec<Event>,
}

impl Story {
    fn begin() -> Self {
        let mut story = Self { owner: OwnerId(Uuid::nil()), events: Vec::new() };
        story.taken();
        story
    }

    fn taken(&mut self) {
        self.owner = OwnerId(Uuid::now_v7());
        let taken = PartitionTaken { owner: self.owner, process: "test".to_owned(), lease_ms: 1 };
        self.events.push(Event::PartitionTaken(taken));
    }

    fn requested(&mut self, table: &TableName, keys: &[(&str, Option<i64>)]) -> MutationId {
        let request = submission(table, keys).request;
        let mutation = request.mutation;
        self.events.push(Event::MutationRequested(request));
        mutation
    }

    fn applied(&self, mutation: MutationId, rows: &[u32], keep_claims: bool) -> Event {
        let row = |row: &u32| AppliedRow {
            row: *row,
            key: format!("key {row}"),
            image: None,
            vendor_version: None,
            seen: Interval { begun_us: 1, ended_us: 2 },
        };
        let rows = rows.iter().map(row).collect();
        Event::MutationApplied(MutationApplied { mutation, owner: self.owner, attempt: 1, rows, keep_claims })
    }

    fn rejected(&self, mutation: MutationId, rows: &[u32]) -> Event {
        let failure = failure("23505");
        let (owner, rows) = (self.owner, rows.to_vec());
        Event::MutationRejected(MutationRejected { mutation, owner, attempt: 1, rows, failure, keep_claims: false })
    }

    fn deferred(&self, mutation: MutationId, attempt: u32) -> Event {
        let failure = failure("55P03");
        Event::MutationDeferred(MutationDeferred { mutation, owner: self.owner, attempt, not_before_us: 5, failure })
    }

    fn in_doubt(&self, mutation: MutationId, rows: &[u32]) -> Event {
        let (owner, rows, failure) = (self.owner, rows.to_vec(), failure("40003"));
        Event::MutationInDoubt(MutationInDoubt { mutation, owner, attempt: 2, rows, failure })
    }
}

fn failure(sqlstate: &str) -> Failure {
    Failure::new(ErrorClass::Unavailable, Outcome::NotApplied, sqlstate, "because")
}

/// A mutation for each way in which one can end.
fn stories(table: &TableName) -> (Story, Vec<MutationId>) {
    let mut story = Story::begin();
    let mut mutations = Vec::new();
    let mut tell = |story: &mut Story, rows: usize, events: &dyn Fn(&Story, MutationId) -> Vec<Event>| {
        let keys: Vec<(&str, Option<i64>)> = ["a", "b"].into_iter().take(rows).map(|key| (key, Some(1))).collect();
        let mutation = story.requested(table, &keys);
        let events = events(story, mutation);
        story.events.extend(events);
        mutations.push(mutation);
    };
    tell(&mut story, 1, &|_, _| vec![]);
    tell(&mut story, 2, &|story, id| vec![story.applied(id, &[0, 1], false), story.applied(id, &[0, 1], false)]);
    tell(&mut story, 2, &|story, id| vec![story.applied(id, &[1], true), story.rejected(id, &[0])]);
    tell(&mut story, 2, &|story, id| vec![story.rejected(id, &[0, 1]), story.applied(id, &[0], false)]);
    tell(&mut story, 1, &|story, id| vec![story.deferred(id, 1), story.deferred(id, 2)]);
    tell(&mut story, 1, &|story, id| vec![story.deferred(id, 1), story.applied(id, &[0], true)]);
    tell(&mut story, 2, &|story, id| vec![story.applied(id, &[0], true)]);
    tell(&mut story, 2, &|story, id| {
        let settled =
            MutationSettled { mutation: id, owner: story.owner, applied: vec![0], not_applied: vec![1], rows: vec![] };
        vec![story.in_doubt(id, &[0, 1]), Event::MutationSettled(settled)]
    });
    tell(&mut story, 1, &|story, id| {
        let dead = Event::MutationDead(MutationDead { mutation: id, owner: story.owner, failure: failure("57P01") });
        vec![story.in_doubt(id, &[0]), dead]
    });
    tell(&mut story, 1, &|story, id| {
        let wish = RevocationRequested { mutation: id, reason: "cancel".to_owned() };
        let revoked = MutationRevoked { mutation: id, owner: story.owner };
        vec![Event::RevocationRequested(wish), Event::MutationRevoked(revoked)]
    });
    // An ousted owner's word does not count.
    let ousted = story.owner;
    story.taken();
    tell(&mut story, 1, &|story, id| {
        let late = Story { owner: ousted, events: Vec::new() };
        vec![late.applied(id, &[0], false), story.rejected(id, &[0])]
    });
    // The void stands before its request.
    let late = submission(table, &[("a", Some(1))]).request;
    mutations.push(late.mutation);
    let void = MutationVoided { mutation: late.mutation, reason: "no answer".to_owned() };
    story.events.extend([Event::MutationVoided(void), Event::MutationRequested(late)]);
    (story, mutations)
}

/// The state in the words of `docs/examples/fold`.
fn state(mutation: MutationId, life: &Lifecycle) -> Value {
    let word = |row: &RowState| match row {
        RowState::Pending => "pending",
        RowState::Applied(_) => "applied",
        RowState::Rejected => "rejected",
        RowState::InDoubt => "in_doubt",
    };
    let key = |(index, row): (usize, &RowState)| match row {
        RowState::Applied(key) => Some((index.to_string(), json!(key))),
        _ => None,
    };
    json!({
        "mutation": mutation,
        "phase": life.phase.as_str(),
        "rows": life.rows.iter().map(word).collect::<Vec<_>>(),
        "keys": life.rows.iter().enumerate().filter_map(key).collect::<serde_json::Map<_, _>>(),
        "attempts": life.attempts,
        "sqlstate": life.failure.as_ref().map(|failure| failure.sqlstate.clone()),
        "settled": life.settled,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_folds_mutations_as_upwrite_does() {
    let site = Site::new().await;
    let (story, mutations) = stories(&crate::harness::Harness::table(&site.harness));
    let mut fold = PartitionFold::default();
    for event in &story.events {
        let position = site.append(event).await;
        let _ = fold.apply(Position(position), event); // an illegal one leaves the fold as it was
    }
    let to_topic = vec![site.config.brokers.clone(), site.registry(), site.topic(Stream::Mutations)];
    let arguments = to_topic.iter().cloned().chain(mutations.iter().map(ToString::to_string)).collect();
    let said = python_program("fold/fold.py", arguments).await;
    assert_eq!(said.lines().count(), mutations.len());
    let mut phases = Vec::new();
    for (mutation, said) in mutations.into_iter().zip(said.lines()) {
        let life = fold.get(mutation).unwrap();
        assert_eq!(serde_json::from_str::<Value>(said).unwrap(), state(mutation, life));
        phases.push(life.phase);
    }
    phases.sort_by_key(|phase| phase.as_str());
    phases.dedup();
    assert_eq!(phases.len(), 9, "the story leaves ways out: {phases:?}");
    let mut command = Command::new(python());
    command.arg(example("fold/fold.py")).args(to_topic).arg(new_id().to_string());
    assert!(!tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap().success());
}

/// `docs/topics.md` names every event and part of one, and every field of each.
#[test]
fn every_field_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/topics.md")).unwrap();
    let section = |name: &str| {
        let from = text.split_once(&format!("\n### {name}\n")).unwrap_or_else(|| panic!("{name} is not documented")).1;
        from.split("\n### ").next().unwrap().to_owned()
    };
    let mut seen = 0;
    let schemas = std::fs::read_dir(root.join("schemas/avro")).unwrap().map(|entry| entry.unwrap().path());
    for path in schemas.filter(|path| path.extension().is_some_and(|end| end == "avsc")) {
        let mut open = vec![serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()];
        while let Some(part) = open.pop() {
            if let (Some(kind), Some(name)) = (part["type"].as_str(), part["name"].as_str())
                && matches!(kind, "record" | "enum")
            {
                let section = section(name);
                let fields = part["fields"].as_array().into_iter().flatten().map(|field| &field["name"]);
                let symbols = part["symbols"].as_array().into_iter().flatten();
                for word in fields.chain(symbols) {
                    let word = format!("`{}`", word.as_str().unwrap());
                    assert!(section.contains(&word), "{name} has {word}, of which docs/topics.md does not speak");
                    seen += 1;
                }
            }
            match part {
                Value::Array(parts) => open.extend(parts),
                Value::Object(parts) => open.extend(parts.into_iter().map(|(_, part)| part)),
                _ => {}
            }
        }
    }
    assert!(seen > 100, "{seen}");
}
