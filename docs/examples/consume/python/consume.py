"""Prints what is in Upwrite's topics, a line of JSON for each record, from the beginning to what was the end.

    python consume.py localhost:9092 http://localhost:8080/apis/ccompat/v7 upwrite.mutations upwrite.observations

It knows nothing of Upwrite: the registry has the schema of every value.
"""

import json
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def text(value):
    return None if value is None else value.decode()


def main(brokers, registry, *topics):
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": "upwrite-example",  # not joined: partitions are assigned by hand
        "enable.auto.commit": False,
        # Records of upwrite.records.* are written in transactions; the others are not, and are read all the same.
        "isolation.level": "read_committed",
        # A place that is gone (retention) is an error to hear of, not to jump over.
        "auto.offset.reset": "error",
    })
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))

    ends = {}
    for topic in topics:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            if start < end:
                ends[topic, partition] = (start, end)
    consumer.assign([TopicPartition(*place, start) for place, (start, _) in ends.items()])

    while ends:
        message = consumer.poll(1.0)
        if message is not None and message.error():
            raise SystemExit(message.error())
        if message is not None:
            context = SerializationContext(message.topic(), MessageField.VALUE)
            print(json.dumps({
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "key": text(message.key()),
                "headers": {name: text(value) for name, value in message.headers() or []},
                "value": decode(message.value(), context),  # None: a deleted row of upwrite.records.*
            }, default=str))
        # By position, not by the last record: the end of a transaction takes a place, too.
        for place in consumer.position([TopicPartition(*place) for place in ends]):
            if place.offset >= ends[place.topic, place.partition][1]:
                del ends[place.topic, place.partition]
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
