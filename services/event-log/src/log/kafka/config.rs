//! How the brokers and the schema registry are reached, and which of librdkafka's options may be chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use upwrite_events::{MAX_EVENT_BYTES, Stream, TableName};

use super::client::Context;
use super::fixed_options::is_refused;
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
    /// Holds the token of SASL's OAUTHBEARER, a JSON Web Token. Read again before the token in it expires.
    pub token_file: Option<PathBuf>,
    /// How long the brokers may take to acknowledge an event before the outcome counts as unknown.
    pub answer_timeout: Duration,
    /// How long an append waits for a broker to come back before it is refused, and a question for its answer.
    pub connect_timeout: Duration,
    /// How long the caller of a submission whose produce went unanswered waits until the log shows what became of it; 0:
    /// not at all.
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
    /// Certificates of authorities, in PEM, which then are the only ones that are trusted.
    pub ca: Option<PathBuf>,
}

// Options and passwords are secrets.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("registry", &self.registry)
            .field("options", &self.options.keys())
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("url", &self.url).finish_non_exhaustive()
    }
}

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
            token_file: None,
            answer_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            settle_timeout: Duration::ZERO,
            queue_items: 16_384,
            queue_bytes: 64 * 1024 * 1024,
            claims: Config::default(),
            any_cluster: false,
        }
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

    /// Callbacks for clients that share one diagnosis.
    pub(crate) fn context(&self) -> Context {
        Context::new(self.token_file.clone())
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
            if !is_refused(name) {
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
            // librdkafka wants one. Nothing is committed to it, and no member joins it.
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

    #[test]
    fn names_of_topics() {
        let config = KafkaConfig::new("localhost:9092");
        assert_eq!(config.topic(Stream::Mutations), "upwrite.mutations");
        assert_eq!(config.records_topic(&TableName::new("crm", "contact__c")), "upwrite.records.crm.contact__c");
        assert_eq!(config.records_topic(&TableName::new("a b", "c.d")), "upwrite.records.a-20b.c-2ed");
    }
}
