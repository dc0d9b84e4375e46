//! What a topic has last: which rows of the outbox are in it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::failure::Failure;
use super::message::{HEADER_OUTBOX, Origin};
use super::outbox::BATCH_ROWS;
use crate::log::kafka::client::Context;
use crate::log::kafka::config::KafkaConfig;

const PATIENCE: Duration = Duration::from_secs(10);
/// A request that is under way when the next partition is read holds it up for so long.
const WAIT: Duration = Duration::from_millis(5);
/// Offsets that are read at first: the last batch, wherever it begins, and some markers of transactions.
const FIRST_LOOK: i64 = 2 * BATCH_ROWS + 100;

/// Of each key in the last transaction, and in some before it, the highest id. Blocks.
///
/// Only to be asked when no transaction of the topic's own producer is open: after `init_transactions`.
pub(super) fn published(config: &KafkaConfig, topic: &str, origin: &Origin) -> Result<HashMap<String, i64>, Failure> {
    let mut settings = config.consumer(WAIT);
    settings.set("enable.partition.eof", "true").set("isolation.level", "read_committed");
    let consumer: Consumer = settings.create_with_context(config.context().named("records")).map_err(Failure::away)?;
    // Nothing is assigned, so nothing comes; but without it librdkafka would not get the token that it asks for.
    drop(consumer.poll(Duration::ZERO));
    let partitions = partitions(&consumer, topic).map_err(Failure::away)?;
    let mut published = HashMap::new();
    for number in 0..partitions {
        partition(&consumer, topic, number, origin, &mut published)?;
    }
    Ok(published)
}

type Consumer = BaseConsumer<Context>;

fn partitions(consumer: &Consumer, topic: &str) -> Result<i32, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.map_or(0, |found| found.partitions().len()) {
        0 => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        count => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
    }
}

/// Looks back farther and farther until it has seen a whole batch, or the beginning. A batch's records in a partition
/// stand one behind the other; behind them there may be any number that were never committed.
fn partition(
    consumer: &Consumer,
    topic: &str,
    number: i32,
    origin: &Origin,
    published: &mut HashMap<String, i64>,
) -> Result<(), Failure> {
    let (low, high) = consumer.fetch_watermarks(topic, number, PATIENCE).map_err(Failure::away)?;
    let mut look = FIRST_LOOK;
    loop {
        let from = high.saturating_sub(look).max(low);
        if from >= high {
            return Ok(());
        }
        let last = read(consumer, topic, (number, from), origin, published)?;
        if from == low || last.is_some_and(|last| last - from >= BATCH_ROWS) {
            return Ok(());
        }
        look = look.saturating_mul(4);
    }
}

/// From there to the end; the offset of the last record that is a row of this outbox.
fn read(
    consumer: &Consumer,
    topic: &str,
    (number, from): (i32, i64),
    origin: &Origin,
    published: &mut HashMap<String, i64>,
) -> Result<Option<i64>, Failure> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Offset(from)).map_err(Failure::away)?;
    consumer.assign(&list).map_err(Failure::away)?;
    let (mut last, mut until) = (None, Instant::now() + PATIENCE);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match consumer.poll(left) {
            Some(Ok(message)) if message.partition() == number => {
                until = Instant::now() + PATIENCE;
                if let Some((key, id)) = row(&message, origin) {
                    last = Some(message.offset());
                    let highest = published.entry(key).or_insert(id);
                    *highest = id.max(*highest);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(end))) if end == number => return Ok(last),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(Failure::away(error)),
            None if left.is_zero() => return Err(Failure::Away(format!("the end of {topic} cannot be read"))),
            // It wakes for other things, too.
            None => {}
        }
    }
}

fn row(message: &BorrowedMessage<'_>, origin: &Origin) -> Option<(String, i64)> {
    let mark = message.headers()?.iter().find(|header| header.key == HEADER_OUTBOX)?.value?;
    let id = origin.id(std::str::from_utf8(mark).ok()?)?;
    let key = std::str::from_utf8(message.key()?).ok()?;
    Some((key.to_owned(), id))
}
