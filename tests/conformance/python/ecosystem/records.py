"""What goes into topics and what is in them, by librdkafka: another client than those under test."""

import collections
import functools
import time

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, ConfigEntry, ConfigResource, AlterConfigOpType, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)

from .background import Background

Record = collections.namedtuple("Record", "partition offset key value")
# Of one request of this script; a broker may be away meanwhile.
REQUEST_S = 30
# Until what is written must be seen.
PATIENCE_S = 180


def wait(what, limit_s, done):
    """What `done()` gives once it is true. A client's error, or a topic that is not known, counts as not yet."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            found, last = done(), None
        except (KafkaException, OSError, KeyError) as failure:
            found, last = None, failure
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {limit_s} s" + (f", {last!r}" if last else "")
        time.sleep(0.1)


@functools.cache
def admin(address):
    """One for each cluster: a future of one that is gone fails."""
    return AdminClient({"bootstrap.servers": address, "log_level": 0})


def metadata(address):
    return admin(address).list_topics(timeout=REQUEST_S)


def leader(address, topic, partition):
    # All topics are listed: asking for one that is not there may create it.
    return metadata(address).topics[topic].partitions[partition].leader


def replicas_are_in_sync(address):
    for topic in metadata(address).topics.values():
        if any(len(p.isrs) < len(p.replicas) or p.leader < 0 for p in topic.partitions.values()):
            return False
    return True


def create(address, *names, partitions=1, replicas=-1, **configs):
    configs = {key.replace("_", "."): value for key, value in configs.items()}
    new = [NewTopic(name, partitions, replicas, config=configs) for name in names]
    for future in admin(address).create_topics(new, request_timeout=REQUEST_S).values():
        future.result()


def add_partitions(address, topic, count):
    for future in admin(address).create_partitions([NewPartitions(topic, count)], request_timeout=REQUEST_S).values():
        future.result()


def configs(address, topic):
    """All configs of a topic as text."""
    [future] = admin(address).describe_configs([ConfigResource(ResourceType.TOPIC, topic)], request_timeout=REQUEST_S).values()
    return {name: entry.value for name, entry in future.result().items()}


def set_config(address, topic, name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin(address).incremental_alter_configs([resource], request_timeout=REQUEST_S).values():
        future.result()


def partitions(address, topic):
    return [TopicPartition(topic, p) for p in metadata(address).topics[topic].partitions]


def end_offsets(address, topic, isolation):
    asked = {p: OffsetSpec.latest() for p in partitions(address, topic)}
    found = admin(address).list_offsets(asked, isolation_level=isolation, request_timeout=REQUEST_S)
    return {p.partition: future.result().offset for p, future in found.items()}


def open_transactions(address):
    """Partitions whose last stable offset lies below the high watermark, of all topics."""
    out = []
    for topic in metadata(address).topics:
        ends = [end_offsets(address, topic, level) for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)]
        out += [f"{topic}-{p} from {ends[0][p]} to {ends[1][p]}" for p in ends[0] if ends[0][p] < ends[1][p]]
    return out


class Feeder:
    """Writes as an idempotent producer; every record has to be acknowledged."""

    def __init__(self, address):
        self.acknowledged, self.failures = 0, []
        self.producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5,
                                  "message.timeout.ms": 300_000, "log_level": 0, "partitioner": "murmur2_random"})

    def send(self, topic, key, value, partition=-1):
        while True:
            try:
                self.producer.produce(topic, value, key, partition, on_delivery=self.delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def delivered(self, failure, _):
        if failure is None:
            self.acknowledged += 1
        else:
            self.failures.append(str(failure))

    def flush(self):
        left = self.producer.flush(300)
        assert not left and not self.failures, f"{left} records not acknowledged, {self.failures[:5]}"


def feed(address, topic, items):
    """Writes `(key, value)` in this order."""
    feeder = Feeder(address)
    for key, value in items:
        feeder.send(topic, key, value)
    feeder.flush()


class Steady(Background):
    """Writes the pairs of an iterator, `rate` a second, until it is told to end; `sent` has what it wrote."""

    def __init__(self, address, topic, items, rate):
        super().__init__()
        self.feeder, self.topic, self.items, self.rate, self.sent = Feeder(address), topic, items, rate, []

    def work(self):
        started = time.monotonic()
        while not self.ended.wait(max(0.0, started + len(self.sent) / self.rate - time.monotonic())):
            # What is taken is sent: others go on with the same iterator.
            key, value = next(self.items)
            self.feeder.send(self.topic, key, value)
            self.sent.append((key, value))
        self.feeder.flush()


class Reader:
    """Reads all partitions of a topic from their beginnings, as often as it is asked as far as they go."""

    def __init__(self, address, topic, isolation="read_committed"):
        self.found, self.address, self.isolation = [], address, isolation
        self.next = {p.partition: 0 for p in partitions(address, topic)}
        self.topic = topic

    def read_to_end(self, deadline):
        """Until each partition has said that there is nothing behind. That is said once to each consumer."""
        consumer = Consumer({
            "bootstrap.servers": self.address, "group.id": "not-used", "enable.auto.commit": False, "log_level": 0,
            "isolation.level": self.isolation, "auto.offset.reset": "error", "enable.partition.eof": True, "check.crcs": True,
        })
        try:
            consumer.assign([TopicPartition(self.topic, p, at) for p, at in self.next.items()])
            missing = set(self.next)
            while missing:
                assert time.monotonic() < deadline, f"{len(self.found)} records, and the end is not reached in time"
                message = consumer.poll(0.5)
                if message is None:
                    continue
                failure = message.error()
                if failure is None:
                    # A partition that has ended may go on while others have not.
                    key, value = message.key(), message.value()
                    self.found.append(Record(message.partition(), message.offset(), key and key.decode(), value and value.decode()))
                    self.next[message.partition()] = message.offset() + 1
                elif failure.code() == KafkaError._PARTITION_EOF:
                    missing.discard(message.partition())
                elif failure.code() == KafkaError._AUTO_OFFSET_RESET:
                    raise AssertionError(f"{self.topic}: {failure}")
        finally:
            consumer.close()


def read(address, topic, isolation="read_committed"):
    """All records of a topic, in order within each partition."""
    reader = Reader(address, topic, isolation)
    reader.read_to_end(time.monotonic() + PATIENCE_S)
    return reader.found


def read_until(address, topic, count, limit_s=PATIENCE_S, isolation="read_committed"):
    """All records of a topic once there are `count` or more."""
    deadline = time.monotonic() + limit_s
    reader = Reader(address, topic, isolation)
    try:
        while True:
            reader.read_to_end(deadline)
            if len(reader.found) >= count:
                return reader.found
            assert time.monotonic() < deadline, "no more come"
            time.sleep(0.2)
    except AssertionError as late:
        raise AssertionError(f"{topic}: {len(reader.found)} of {count} records: {late}") from None


def committed(address, group, topic):
    """Committed offsets of a group by partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "log_level": 0})
    try:
        found = consumer.committed(partitions(address, topic), timeout=REQUEST_S)
        return {p.partition: p.offset for p in found if p.offset >= 0}
    finally:
        consumer.close()


def consume(address, group, topic, count, commit=True):
    """Reads `count` records as a member of a group, and commits them."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "session.timeout.ms": 6000, "log_level": 0})
    found, deadline = [], time.monotonic() + PATIENCE_S
    try:
        consumer.subscribe([topic])
        while len(found) < count:
            assert time.monotonic() < deadline, f"{group} got {len(found)} of {count} records of {topic}"
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                found.append(Record(message.partition(), message.offset(), message.key().decode(), message.value().decode()))
        if commit:
            consumer.commit(asynchronous=False)
        return found
    finally:
        consumer.close()
