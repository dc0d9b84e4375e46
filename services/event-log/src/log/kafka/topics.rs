//! Topics: made with the settings that promises rest on, and checked for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{ConfigResource, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use sqlx::PgPool;
use tokio::time::timeout;
use upwrite_events::{Stream, TableName};

use super::brokers::{Brokers, Unanswered};
use super::config::{KafkaConfig, MAX_MESSAGE_BYTES};
use crate::LogError;

/// Looks for a topic that was just made, and the pause between them.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("options of Kafka clients: {}", .0.join("; "))]
    Options(Vec<String>),
    #[error("topic {topic} could not be made: {reason}")]
    NotMade { topic: String, reason: String },
    /// Existing topics, each with what is wrong with it. None was changed.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

/// What a topic must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    topic: String,
    partitions: u16,
    settings: BTreeMap<&'static str, String>,
}

impl Wanted {
    fn new(config: &KafkaConfig, topic: String, partitions: u16) -> Self {
        let settings = [
            ("min.insync.replicas", config.min_insync.to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
            ("max.message.bytes", MAX_MESSAGE_BYTES.to_string()),
        ];
        Self { topic, partitions, settings: settings.into() }
    }

    fn kept(mut self, config: &KafkaConfig) -> Self {
        self.settings.extend([
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", config.retention.as_millis().to_string()),
            ("retention.bytes", "-1".to_owned()),
            // The log's own clock, which never depends on a producer's.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
        ]);
        self
    }

    fn compacted(mut self, config: &KafkaConfig) -> Self {
        self.settings.extend([
            ("cleanup.policy", "compact".to_owned()),
            // A consumer that reads at least so often learns of every deletion.
            ("delete.retention.ms", config.retention.as_millis().to_string()),
        ]);
        self
    }
}

/// The topics that every process needs.
fn streams(config: &KafkaConfig, partitions: u16) -> Vec<Wanted> {
    let stream = |stream| Wanted::new(config, config.topic(stream), partitions).kept(config);
    vec![
        stream(Stream::Mutations),
        stream(Stream::Observations),
        Wanted::new(config, config.dead_letters_topic(), 1).kept(config),
    ]
}

fn records(config: &KafkaConfig, partitions: u16, table: &TableName) -> Wanted {
    Wanted::new(config, config.records_topic(table), partitions).compacted(config)
}

/// Makes the topics that are missing, those of `tables` included, and checks the others. What was done, a line each.
///
/// # Errors
/// `Wrong` if existing topics have other settings, with every difference: none is changed.
pub async fn prepare(config: &KafkaConfig, partitions: u16, tables: &[TableName]) -> Result<Vec<String>, PrepareError> {
    let mistakes = config.mistakes();
    if !mistakes.is_empty() {
        return Err(PrepareError::Options(mistakes));
    }
    let brokers = Brokers::connect(config).await?;
    let mut wanted = streams(config, partitions);
    for table in tables {
        wanted.push(records(config, partitions, table));
    }
    let mut done = Vec::new();
    for wanted in &wanted {
        if make(&brokers, config, wanted).await? {
            done.push(format!(
                "topic {} made: {} partitions, {} copies",
                wanted.topic, wanted.partitions, config.replication
            ));
        }
    }
    let wrong = differences(&brokers, config, &wanted).await?;
    if wrong.is_empty() { Ok(done) } else { Err(PrepareError::Wrong(wrong)) }
}

/// What is wrong with the topics that the log needs; empty: nothing.
///
/// # Errors
/// If the brokers do not answer.
pub async fn check(config: &KafkaConfig, partitions: u16) -> Result<Vec<String>, PrepareError> {
    let brokers = Brokers::connect(config).await?;
    Ok(differences(&brokers, config, &streams(config, partitions)).await?)
}

/// What is wrong with the topic of a table's records; empty: nothing.
pub(crate) async fn check_records(
    config: &KafkaConfig,
    partitions: u16,
    table: &TableName,
) -> Result<Vec<String>, PrepareError> {
    let brokers = Brokers::connect(config).await?;
    Ok(differences(&brokers, config, &[records(config, partitions, table)]).await?)
}

/// The id of the cluster that the brokers are.
///
/// # Errors
/// If no broker answers.
pub async fn cluster_id(config: &KafkaConfig) -> Result<String, PrepareError> {
    Ok(Brokers::connect(config).await?.cluster().await?)
}

/// As [`check`], and the cluster.
pub(crate) async fn check_topics(
    config: &KafkaConfig,
    partitions: u16,
    cluster: Option<&str>,
) -> Result<Vec<String>, LogError> {
    let unavailable = |error: Unanswered| LogError::Unavailable(error.to_string());
    let brokers = Brokers::connect(config).await.map_err(unavailable)?;
    if let Some(expected) = cluster {
        let found = brokers.cluster().await.map_err(unavailable)?;
        if found != expected {
            return Ok(vec![format!(
                "this deployment's log is the Kafka cluster {expected}; the brokers are of {found}"
            )]);
        }
    }
    differences(&brokers, config, &streams(config, partitions)).await.map_err(unavailable)
}

/// How many partitions the deployment has, and which cluster its log is on, if that was recorded.
pub(crate) async fn deployment(pool: &PgPool, patience: Duration) -> Result<(u16, Option<String>), LogError> {
    let query = "/* event-log.deployment */ select log_engine, partitions, log_cluster from upwrite.deployment";
    let asked = sqlx::query_as::<_, (String, i16, Option<String>)>(query).fetch_optional(pool);
    let found = match timeout(patience, asked).await {
        Ok(found) => found.map_err(|error| LogError::Unavailable(error.to_string()))?,
        Err(_) => return Err(LogError::Unavailable(format!("no answer within {patience:?}"))),
    };
    match found {
        Some((engine, partitions, cluster)) if engine == "kafka" => {
            let partitions = u16::try_from(partitions).ok().filter(|partitions| *partitions > 0);
            let partitions =
                partitions.ok_or_else(|| LogError::Mismatch("a deployment without partitions".to_owned()))?;
            Ok((partitions, cluster))
        }
        Some((engine, ..)) => Err(LogError::Mismatch(format!("this database was set up for the log on {engine}"))),
        None => Err(LogError::Mismatch("this database is not set up: run `upwrite setup`".to_owned())),
    }
}

/// Whether it was made; `false`: it is there.
async fn make(brokers: &Arc<Brokers>, config: &KafkaConfig, wanted: &Wanted) -> Result<bool, PrepareError> {
    let replication = TopicReplication::Fixed(i32::from(config.replication));
    let mut new = NewTopic::new(&wanted.topic, i32::from(wanted.partitions), replication);
    for (name, value) in &wanted.settings {
        new = new.set(name, value);
    }
    let not_made = |reason: String| PrepareError::NotMade { topic: wanted.topic.clone(), reason };
    match brokers.make(&new).await? {
        Ok(()) => {}
        Err(RDKafkaErrorCode::TopicAlreadyExists) => return Ok(false),
        Err(code) => return Err(not_made(brokers.refusal(code))),
    }
    // All brokers must know it, and its partitions must have leaders.
    for _ in 0..LOOKS {
        if brokers.topic(&wanted.topic).await?.is_some_and(|(partitions, _)| partitions == wanted.partitions) {
            return Ok(true);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(not_made("its partitions have no leaders".to_owned()))
}

async fn differences(
    brokers: &Arc<Brokers>,
    config: &KafkaConfig,
    wanted: &[Wanted],
) -> Result<Vec<String>, Unanswered> {
    let mut wrong = Vec::new();
    for wanted in wanted {
        let Some((partitions, copies)) = brokers.topic(&wanted.topic).await? else {
            wrong.push(format!("topic {} is missing: run `upwrite setup`", wanted.topic));
            continue;
        };
        if partitions != wanted.partitions {
            let must = wanted.partitions;
            wrong.push(format!(
                "topic {} has {partitions} partitions (with a leader), and must have {must}",
                wanted.topic
            ));
        }
        if copies < usize::from(config.replication) {
            wrong.push(format!("topic {} has {copies} copies, and must have {}", wanted.topic, config.replication));
        }
        wrong.extend(differing(wanted, &brokers.settings(&wanted.topic).await?));
    }
    Ok(wrong)
}

fn differing(wanted: &Wanted, resource: &ConfigResource) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, must) in &wanted.settings {
        let found = resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        if !good_enough(name, &found, must) {
            wrong.push(format!("topic {} has {name} = {found}, and must have {must}", wanted.topic));
        }
    }
    wrong
}

/// More than wanted is as good where it is.
fn good_enough(name: &str, found: &str, must: &str) -> bool {
    if found == must {
        return true;
    }
    let (Ok(found), Ok(must)) = (found.parse::<i64>(), must.parse::<i64>()) else { return false };
    match name {
        "retention.ms" => found < 0 || found >= must,
        "delete.retention.ms" => found >= must,
        "max.message.bytes" | "min.insync.replicas" => found >= must,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_as_good_where_it_is() {
        assert!(good_enough("retention.ms", "-1", "1000"));
        assert!(good_enough("retention.ms", "1000", "1000"));
        assert!(!good_enough("retention.ms", "999", "1000"));
        assert!(good_enough("min.insync.replicas", "3", "2"));
        assert!(!good_enough("min.insync.replicas", "1", "2"));
        assert!(!good_enough("retention.bytes", "100", "-1"));
        assert!(!good_enough("cleanup.policy", "compact,delete", "delete"));
        assert!(!good_enough("max.message.bytes", "", "5"));
    }

    #[test]
    fn what_topics_must_be() {
        let config = KafkaConfig::new("localhost:9092");
        let wanted = streams(&config, 12);
        let topics: Vec<_> = wanted.iter().map(|wanted| (wanted.topic.as_str(), wanted.partitions)).collect();
        assert_eq!(topics, [("upwrite.mutations", 12), ("upwrite.observations", 12), ("upwrite.dead-letters", 1)]);
        assert!(wanted.iter().all(|wanted| wanted.settings["unclean.leader.election.enable"] == "false"));
    }
}
