"""Produces with kafka-python and librdkafka: `recompression_clients.py HOST:PORT TOPIC...`. Into each topic, every codec of each
client, then a transaction of librdkafka's. Reads all back with both; prints a line `TOPIC CLIENT HASH` for each."""

import hashlib
import sys

from confluent_kafka import Consumer, Producer, TopicPartition as Partition
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

SERVER, TOPICS = sys.argv[1], sys.argv[2:]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
# Recent enough for every topic, and the same for both brokers.
NOW_MS = 1_700_000_000_000


def records(codec):
    """Keys, values and headers of all sorts."""
    for i in range(200):
        key = None if i % 3 == 0 else b"" if i % 3 == 1 else b"key %d" % i
        # kafka-python sends no record without both.
        value = None if i % 7 == 3 and key is not None else (codec.encode() + b" value %d " % i) * (i % 40)
        headers = [("n", b"%d" % i), ("", b"")] if i % 5 == 0 else []
        yield key, value, headers, NOW_MS + i * 37 % 101


def produce(topic):
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=SERVER, compression_type=None if codec == "none" else codec, acks="all",
                                 linger_ms=50)
        sent = [producer.send(topic, key=k, value=v, headers=h, timestamp_ms=t, partition=0) for k, v, h, t in records(codec)]
        producer.close(60)
        wrong = [it.exception or "not sent" for it in sent if not it.succeeded()]
        assert not wrong, f"{topic} {codec}: {wrong[0]!r}"
        failed = []
        producer = Producer({"bootstrap.servers": SERVER, "compression.type": codec, "linger.ms": 50, "enable.idempotence": True,
                             "on_delivery": lambda error, _: failed.append(error) if error else None})
        for key, value, headers, time in records(codec):
            producer.produce(topic, value, key, partition=0, timestamp=time, headers=headers)
        assert producer.flush(60) == 0 and not failed, f"{topic} {codec}: {failed[:1]}"
    for commits in (True, False):
        producer = Producer({"bootstrap.servers": SERVER, "compression.type": "snappy", "linger.ms": 50,
                             "transactional.id": f"recompression {topic}"})
        producer.init_transactions(60)
        producer.begin_transaction()
        for key, value, headers, time in records("transaction"):
            producer.produce(topic, value, key, partition=0, timestamp=time, headers=headers)
        assert producer.flush(60) == 0
        producer.commit_transaction(60) if commits else producer.abort_transaction(60)


def by_kafka_python(topic):
    consumer = KafkaConsumer(bootstrap_servers=SERVER, check_crcs=True)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    end = consumer.end_offsets([partition])[partition]
    while consumer.position(partition) < end:
        for it in consumer.poll(1000).get(partition, []):
            yield it.offset, it.key, it.value, it.headers, it.timestamp
    consumer.close()


def by_librdkafka(topic):
    consumer = Consumer({"bootstrap.servers": SERVER, "group.id": "recompression", "check.crcs": True, "enable.partition.eof": True,
                         "isolation.level": "read_uncommitted", "enable.auto.commit": False})
    consumer.assign([Partition(topic, 0, 0)])
    while True:
        it = consumer.poll(60)
        assert it is not None, f"{topic}: nothing for a minute"
        if it.error():
            break
        yield it.offset(), it.key(), it.value(), it.headers() or [], it.timestamp()[1]
    consumer.close()


for topic in TOPICS:
    produce(topic)
    for read in (by_kafka_python, by_librdkafka):
        seen = hashlib.sha256()
        for offset, key, value, headers, time in read(topic):
            stamp = "now" if topic.endswith("-stamped") else time
            seen.update(repr((offset, key, value, [(name, bytes(it)) for name, it in headers], stamp)).encode())
        print(topic, read.__name__, seen.hexdigest())
