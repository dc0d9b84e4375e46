//! How the brokers and the schema registry are reached, and which of librdkafka's options may be chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use upwrite_events::{MAX_EVENT_BYTES, Stream, TableName};

use crate::Config;

/// Key, headers and framing of one record, beside the encoded event.
const MAX_AROUND_AN_EVENT: usize = 64 * 1024;
/// Largest message that topics must take: one event, or a dead letter, which is an event with reasons.
pub(crate) const MAX_MESSAGE_BYTES: usize = MAX_EVENT_BYTES + 2 * MAX_AROUND_AN_EVENT;

/// The log on Kafka. [`KafkaConfig::new`] has the defaults.
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port,host:port`
    pub brokers: String,
    /// Topics are `<prefix>.mutations`, `<prefix>.observations`, `<prefix>.dead-letters`,
    /// `<prefix>.records.<source>.<table>`.
    pub topic_prefix: String,
    /// Copies of each partition.
    pub replication: u16,
    /// Copies that must have an event before it counts as written.
    pub min_insync: u16,
    /// How long events are kept.
    pub retention: Duration,
    /// Without one, values are Avro single objects.
    pub registry: Option<Registry>,
    /// Raw options of librdkafka; see [`KafkaConfig::mistakes`].
    pub options: BTreeMap<String, String>,
    /// How long the brokers may take to acknowledge an event before the outcome counts as unknown.
    pub answer_timeout: Duration,
    /// How long an append waits for a broker to come back before it is refused, and a question for its answer.
    pub connect_timeout: Duration,
    /// How long the caller of a submission whose produce went unanswered waits for the log to tell; 0: not at all.
    pub settle_timeout: Duration,
    /// Events that may be on their way to the brokers; further callers wait.
    pub queue_items: usize,
    /// Encoded bytes that may be on their way to the brokers; further callers wait. At least one event always fits.
    pub queue_bytes: usize,
    /// How claims are batched in Postgres.
    pub claims: Config,
    /// Opens the log also where the deployment is bound to another cluster: to recover it there, for nothing else.
    pub any_cluster: bool,
}

/// A Confluent-compatible schema registry.
#[derive(Clone)]
pub struct Registry {
    /// Base URL: what `/subjects` is put behind.
    pub url: String,
    /// For basic authentication.
    pub username: Option<String>,
    pub password: Option<String>,
}

// Options and passwords are secrets.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("registry", &self.registry)
            .field("options", &self.options.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Options that are not to be chosen, each with the promise that rests on it.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "the brokers are named by `brokers`"),
    ("metadata.broker.list", "the brokers are named by `brokers`"),
    ("acks", "an event counts as written once all in-sync replicas have it"),
    ("request.required.acks", "an event counts as written once all in-sync replicas have it"),
    ("enable.idempotence", "without it the retry of a produce writes an event twice, or out of order"),
    ("enable.gapless.guarantee", "events of different callers do not depend on one another"),
    ("transactional.id", "events of different callers are not one transaction"),
    ("message.timeout.ms", "when an outcome counts as unknown is decided by Upwrite"),
    ("delivery.timeout.ms", "when an outcome counts as unknown is decided by Upwrite"),
    ("retries", "idempotent retries go on until the outcome counts as unknown"),
    ("message.send.max.retries", "idempotent retries go on until the outcome counts as unknown"),
    ("partitioner", "the partition of a mutation is the same on every engine"),
    ("queue.buffering.max.messages", "the queue is bounded by Upwrite"),
    ("queue.buffering.max.kbytes", "the queue is bounded by Upwrite"),
    ("message.max.bytes", "every event within Upwrite's own limit must fit"),
    ("auto.offset.reset", "a position that is gone must be noticed, never skipped"),
    ("enable.auto.commit", "positions stand in Postgres, with the work that they stand for"),
    ("auto.commit.enable", "positions stand in Postgres, with the work that they stand for"),
    ("enable.auto.offset.store", "positions stand in Postgres, with the work that they stand for"),
    ("offset.store.method", "positions stand in Postgres, with the work that they stand for"),
    ("isolation.level", "all readers must see the same events"),
    ("allow.auto.create.topics", "`upwrite setup` makes topics, with the settings that promises rest on"),
    ("enable.partition.eof", "it is how the end of a range is told"),
    ("check.crcs", "a record damaged on its way must be noticed"),
    ("group.instance.id", "partitions are shared by Upwrite itself"),
    ("group.protocol", "partitions are shared by Upwrite itself"),
    ("max.poll.interval.ms", "partitions are shared by Upwrite itself"),
    ("log.queue", "it is how the client's log is read"),
    ("test.mock.num.brokers", "events written to it are lost"),
];

impl KafkaConfig {
    /// # Parameters
    /// `brokers`: `host:port,host:port`.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic_prefix: "upwrite".to_owned(),
            replication: 3,
            min_insync: 2,
            retention: Duration::from_secs(30 * 24 * 3600),
            registry: None,
            options: BTreeMap::new(),
            answer_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            settle_timeout: Duration::ZERO,
            queue_items: 16_384,
            queue_bytes: 64 * 1024 * 1024,
            claims: Config::default(),
            any_cluster: false,
        }
    }

    /// What is wrong with `options`: those that would break a promise, those that librdkafka does not know, and values
    /// that it does not take. Asks no broker.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (name, value) in &self.options {
            if let Some((_, promise)) = REFUSED.iter().find(|(refused, _)| refused == name) {
                mistakes.push(format!("`{name}` cannot be set: {promise}"));
            } else if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
                // librdkafka's text; it does not repeat the values of options that are secret.
                mistakes.push(format!("`{name}`: {error}"));
            }
        }
        if mistakes.is_empty()
            && let Err(error) = self.producer().create_native_config()
        {
            mistakes.push(error.to_string());
        }
        mistakes
    }

    /// The topic of a stream.
    pub fn topic(&self, stream: Stream) -> String {
        format!("{}.{}", self.topic_prefix, stream.as_str())
    }

    /// Where undecodable records are copied to.
    pub fn dead_letters_topic(&self) -> String {
        format!("{}.dead-letters", self.topic_prefix)
    }

    /// The compacted topic of a synced table. What a topic's name cannot hold is written as `-` and two hexadecimal
    /// digits per byte.
    pub fn records_topic(&self, table: &TableName) -> String {
        format!("{}.records.{}.{}", self.topic_prefix, plain(&table.source), plain(&table.table))
    }

    /// What every client has.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "upwrite")
            .set("isolation.level", "read_uncommitted")
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            // A broker that is stopped, not gone, is noticed by this alone.
            .set("socket.timeout.ms", "6000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Info);
        for (name, value) in &self.options {
            if !REFUSED.iter().any(|(refused, _)| refused == name) {
                config.set(name, value);
            }
        }
        config
    }

    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        let default = |config: &mut ClientConfig, name: &str, value: &str| {
            if !self.options.contains_key(name) {
                config.set(name, value);
            }
        };
        // A client is held meanwhile. What waits behind a request in flight goes together all the same.
        default(&mut config, "linger.ms", "0");
        let kilobytes = (self.queue_bytes.max(MAX_MESSAGE_BYTES) / 1024).saturating_mul(2).min(2_000_000);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", self.answer_timeout.as_millis().max(1).to_string())
            .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
            // Beyond what `queue_items` and `queue_bytes` let through, so that this one is never full.
            .set("queue.buffering.max.messages", self.queue_items.saturating_mul(2).clamp(1024, 10_000_000).to_string())
            .set("queue.buffering.max.kbytes", kilobytes.to_string());
        config
    }

    /// # Parameters
    /// `wait`: how long a broker may hold a request for which there is nothing yet; so long may a partition that is
    /// added meanwhile have to wait.
    pub(crate) fn consumer(&self, wait: Duration) -> ClientConfig {
        let mut config = self.client();
        if !self.options.contains_key("group.id") {
            // librdkafka wants one. Nothing is committed to it, nobody joins it.
            config.set("group.id", format!("{}-readers", self.topic_prefix));
        }
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("max.poll.interval.ms", "86400000")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", wait.as_millis().to_string())
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "16384");
        config
    }
}

fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("-{byte:02x}"));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(options: &[(&str, &str)]) -> Vec<String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KafkaConfig { options, ..KafkaConfig::new("localhost:9092") }.mistakes()
    }

    #[test]
    fn options_that_a_promise_rests_on_are_refused() {
        for (name, _) in REFUSED {
            let mistakes = mistakes(&[(name, "1")]);
            assert!(mistakes[0].starts_with(&format!("`{name}` cannot be set")), "{mistakes:?}");
        }
    }

    #[test]
    fn what_librdkafka_does_not_know_or_take_is_a_mistake() {
        assert_eq!(mistakes(&[]), Vec::<String>::new());
        assert_eq!(mistakes(&[("security.protocol", "sasl_ssl"), ("linger.ms", "1")]), Vec::<String>::new());
        assert!(mistakes(&[("no.such.option", "1")])[0].contains("no.such.option"));
        assert!(mistakes(&[("linger.ms", "soon")])[0].contains("linger.ms"));
    }

    #[test]
    fn names_of_topics() {
        let config = KafkaConfig::new("localhost:9092");
        assert_eq!(config.topic(Stream::Mutations), "upwrite.mutations");
        assert_eq!(config.records_topic(&TableName::new("crm", "contact__c")), "upwrite.records.crm.contact__c");
        assert_eq!(config.records_topic(&TableName::new("a b", "c.d")), "upwrite.records.a-20b.c-2ed");
    }
}
