//! The options of clients that are not to be chosen.

/// Options that are not to be chosen, each with the promise that rests on it.
pub(super) const REFUSED: &[(&str, &str)] = &[
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
    ("enable.partition.eof", "it is how the end of a range is recognised"),
    ("check.crcs", "a record damaged on its way must be noticed"),
    ("group.instance.id", "partitions are shared by Upwrite itself"),
    ("group.protocol", "partitions are shared by Upwrite itself"),
    ("max.poll.interval.ms", "partitions are shared by Upwrite itself"),
    ("log.queue", "it is how the client's log is read"),
    ("test.mock.num.brokers", "events written to it are lost"),
];

pub(super) fn is_refused(option: &str) -> bool {
    REFUSED.iter().any(|(refused, _)| *refused == option)
}
