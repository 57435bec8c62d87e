"""kafka-python against a broker: `clients.py HOST:PORT`. Prints `all passed` at the end."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import InvalidConfigurationError, KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError

SERVER = sys.argv[1]
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


def admin():
    return KafkaAdminClient(bootstrap_servers=SERVER)


def create(name, partitions=1, configs=None):
    client = admin()
    try:
        client.create_topics([NewTopic(name, partitions, 1, topic_configs=configs or {})])
    finally:
        client.close()


def read(partition, count, start=0):
    """The first `count` messages from `start` on."""
    consumer = KafkaConsumer(bootstrap_servers=SERVER, group_id=None, check_crcs=True)
    try:
        consumer.assign([partition])
        consumer.seek(partition, start)
        out = []
        deadline = time.monotonic() + 60
        while len(out) < count:
            assert time.monotonic() < deadline, f"{len(out)} of {count} messages"
            for records in consumer.poll(timeout_ms=1000).values():
                out.extend(records)
        return out
    finally:
        consumer.close()


def every_compression():
    for codec in CODECS:
        topic = f"python-{codec}"
        create(topic, 2)
        producer = KafkaProducer(
            bootstrap_servers=SERVER, compression_type=codec, acks="all", linger_ms=20
        )
        futures = [
            producer.send(
                topic,
                key=b"k%d" % i,
                value=b"v%d " % i * (i % 50),
                headers=[("n", b"%d" % i)],
                partition=i % 2,
                timestamp_ms=1_700_000_000_000 + i,
            )
            for i in range(1000)
        ]
        producer.flush(timeout=60)
        offsets = [f.get(timeout=60).offset for f in futures]
        assert offsets == [i // 2 for i in range(1000)], codec
        producer.close()
        for p in range(2):
            for n, m in enumerate(read(TopicPartition(topic, p), 500)):
                i = 2 * n + p
                assert (m.offset, m.key, m.value) == (n, b"k%d" % i, b"v%d " % i * (i % 50)), m
                assert m.timestamp == 1_700_000_000_000 + i and m.timestamp_type == 0, m
                assert list(m.headers) == [("n", b"%d" % i)], m


def offsets():
    create("python-offsets", 1)
    tp = TopicPartition("python-offsets", 0)
    producer = KafkaProducer(bootstrap_servers=SERVER, linger_ms=20)
    for i in range(100):
        producer.send(tp.topic, b"%d" % i, timestamp_ms=1_000_000 + 10 * i)
    producer.flush(timeout=60)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=SERVER, group_id=None)
    consumer.assign([tp])
    assert consumer.beginning_offsets([tp]) == {tp: 0}
    assert consumer.end_offsets([tp]) == {tp: 100}
    found = consumer.offsets_for_times({tp: 1_000_455})[tp]
    assert (found.offset, found.timestamp) == (46, 1_000_460), found
    assert consumer.offsets_for_times({tp: 2_000_000}) == {tp: None}
    consumer.seek_to_end(tp)
    assert consumer.position(tp) == 100
    consumer.close()


def log_append_time():
    create("python-append-time", 1, {"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    producer = KafkaProducer(bootstrap_servers=SERVER, compression_type="gzip", linger_ms=20)
    futures = [producer.send("python-append-time", b"x", timestamp_ms=5) for _ in range(10)]
    producer.flush(timeout=60)
    told = [f.get(timeout=60).timestamp for f in futures]
    producer.close()
    after = int(time.time() * 1000)
    for m, t in zip(read(TopicPartition("python-append-time", 0), 10), told):
        assert m.timestamp_type == 1 and before - 1000 <= m.timestamp <= after + 1000, m
        assert m.timestamp == t, (m, t)


def too_large():
    create("python-small", 1, {"max.message.bytes": "2000"})
    producer = KafkaProducer(bootstrap_servers=SERVER, retries=0, linger_ms=0)
    try:
        producer.send("python-small", b"x" * 5000).get(timeout=60)
        raise AssertionError("5,000 bytes went into a topic of 2,000")
    except MessageSizeTooLargeError:
        pass
    assert producer.send("python-small", b"small").get(timeout=60).offset == 0
    producer.close()


def administration():
    create("python-admin", 1, {"retention.ms": "3600000"})
    client = admin()
    try:
        create("python-admin")
        raise AssertionError("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    assert "python-admin" in client.list_topics()
    client.create_partitions({"python-admin": NewPartitions(3)})
    described = client.describe_topics(["python-admin"])
    assert len(described[0]["partitions"]) == 3, described
    assert client.describe_cluster()["brokers"], "no brokers"
    try:
        create("python-wrong", 1, {"retention.ms": "soon"})
        raise AssertionError("a config that is no number was taken")
    except InvalidConfigurationError:
        pass
    client.delete_topics(["python-admin"])
    assert "python-admin" not in client.list_topics()
    try:
        client.delete_topics(["python-admin"])
        raise AssertionError("a topic was deleted twice")
    except KafkaError:
        pass
    client.close()


def metadata():
    consumer = KafkaConsumer(bootstrap_servers=SERVER, group_id=None)
    create("python-partitions", 7)
    deadline = time.monotonic() + 60
    while consumer.partitions_for_topic("python-partitions") != set(range(7)):
        assert time.monotonic() < deadline, consumer.partitions_for_topic("python-partitions")
    consumer.close()


for check in [every_compression, offsets, log_append_time, too_large, administration, metadata]:
    started = time.monotonic()
    check()
    print(f"{check.__name__}: {time.monotonic() - started:.1f} s", flush=True)
print("all passed")
