"""Folds the events of mutations to their state: what Upwrite itself does with them.

    python fold.py localhost:9092 http://localhost:8080/apis/ccompat/v7 upwrite.mutations MUTATION_ID…

Prints the state of each, a line of JSON: the phase (requested, attempted, deferred, applied, rejected, partial, in_doubt, revoked,
voided, dead), each row's outcome, attempts, the failure that decided. Needs ../consume/python/requirements.txt.
"""

import json
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

OPEN = {"requested", "attempted", "deferred"}

# What counts only if the partition's owner says so: the last PartitionTaken before it.
OWNERS_WORD = {
    "MutationRevoked", "MutationAttempted", "MutationApplied", "MutationRejected", "MutationDeferred",
    "MutationInDoubt", "MutationSettled", "MutationDead",
}


class Mutation:
    """The state of one mutation. `apply` takes its partition's events in order; repeats are legal."""

    def __init__(self):
        self.owner = None  # of the partition
        self.phase = None
        self.rows = []  # "pending", "applied", "rejected", "in_doubt"
        self.keys = {}  # of applied rows, as upstream knows them
        self.attempts = 0
        self.failure = None
        self.settled = False

    def apply(self, name, event):
        if name == "PartitionTaken":
            self.owner = event["owner"]
        elif name == "PartitionReleased":
            self.owner = None if self.owner == event["owner"] else self.owner
        elif name in OWNERS_WORD and event["owner"] != self.owner:
            pass  # an ousted owner's word: a hint for the present one, never a verdict
        elif self.phase is None:
            # Whichever of request and void stands first in the partition counts.
            if name == "MutationRequested":
                self.phase, self.rows = "requested", ["pending"] * len(event["rows"])
            elif name == "MutationVoided":
                self.phase = "voided"
        else:
            getattr(self, name, lambda event: None)(event)

    def MutationRevoked(self, event):
        if self.phase in OPEN and all(row == "pending" for row in self.rows):
            self.phase = "revoked"

    def MutationAttempted(self, event):
        if self.phase in OPEN:
            self.phase, self.attempts = "attempted", max(self.attempts, event["attempt"])

    def MutationDeferred(self, event):
        if self.phase in OPEN:
            self.phase, self.attempts = "deferred", max(self.attempts, event["attempt"])
            self.failure = event["failure"]

    def MutationApplied(self, event):
        self.outcome(event, [(row["row"], row["key"]) for row in event["rows"]], "applied")

    def MutationRejected(self, event):
        self.outcome(event, [(row, None) for row in event["rows"]], "rejected")

    def MutationInDoubt(self, event):
        self.outcome(event, [(row, None) for row in event["rows"]], "in_doubt")

    def MutationSettled(self, event):
        if self.phase in OPEN:
            return
        keys = {row["row"]: row["key"] for row in event["rows"]}
        for row in event["applied"]:
            if self.rows[row] == "in_doubt":
                self.rows[row], self.keys[row] = "applied", keys.get(row, "")
        for row in event["not_applied"]:
            if self.rows[row] == "in_doubt":
                self.rows[row] = "rejected"
        self.settled = True
        if self.phase == "in_doubt":
            self.phase = self.of_rows()

    def MutationDead(self, event):
        if self.phase in OPEN or self.phase == "in_doubt":
            self.phase, self.failure = "dead", event["failure"]

    def outcome(self, event, rows, state):
        if self.phase not in OPEN:
            return  # the verdict stands
        if any(self.rows[row] not in ("pending", state) for row, _ in rows):
            return  # cannot be: Upwrite puts such an event aside, too
        for row, key in rows:
            if self.rows[row] == "pending":
                self.rows[row] = state
                if key is not None:
                    self.keys[row] = key
        self.failure = event.get("failure", self.failure)
        self.attempts = max(self.attempts, event["attempt"])
        self.phase = self.of_rows()

    def of_rows(self):
        if "pending" in self.rows:
            return "attempted"
        if "in_doubt" in self.rows:
            return "in_doubt"
        if all(row == "applied" for row in self.rows):
            return "applied"
        return "partial" if "applied" in self.rows else "rejected"

    def state(self):
        return {
            "phase": self.phase,
            "rows": self.rows,
            "keys": {str(row): key for row, key in sorted(self.keys.items())},
            "attempts": self.attempts,
            "sqlstate": self.failure and self.failure["sqlstate"],
            "settled": self.settled,
        }


def records(brokers, registry, topic):
    """Every partition's (partition, event name, key, event), each partition in order, up to what is its end now."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "upwrite-example", "enable.auto.commit": False,
                         "auto.offset.reset": "error"})
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    for partition in sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions):
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, start)])
        while start < end:
            message = consumer.poll(1.0)
            if message is not None and message.error():
                raise SystemExit(message.error())
            if message is not None:
                headers = dict(message.headers() or [])
                # Whoever may write to the topic may have written something else: Upwrite passes over that, too.
                if "upwrite-event" in headers:
                    event = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
                    yield partition, headers["upwrite-event"].decode(), message.key().decode(), event
                start = message.offset() + 1
    consumer.close()


def main(brokers, registry, topic, *mutations):
    # A mutation's whole life is in one partition, and which one is not worth computing: it is where its key is.
    states, home = {}, {}
    for partition, name, key, event in records(brokers, registry, topic):
        for mutation in mutations:
            state = states.setdefault((partition, mutation), Mutation())
            if key == mutation:
                home[mutation] = state
            if key == mutation or name in ("PartitionTaken", "PartitionReleased"):
                state.apply(name, event)
    for mutation in mutations:
        if mutation not in home:
            raise SystemExit(f"{topic} has no mutation {mutation}")
        print(json.dumps({"mutation": mutation} | home[mutation].state()))


if __name__ == "__main__":
    main(*sys.argv[1:])
