"""`klamm mirror` from Apache Kafka."""

import json
import subprocess

from brokers import KAFKA, klamm_binary
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from . import cluster as clusters
from . import records
from .mirror import GROUP, TOPIC, begin, later_changes, move_group
from .part import each_once_in_order, part
from .process import Process


@part("klamm-mirror")
def from_kafka(context):
    """Topics, configs, records, transactions and offsets from Apache Kafka; the mirror is killed and started again, the
    source's broker once; a group moves over with its offsets."""
    subprocess.run([KAFKA, "fetch"], check=True)
    source = clusters.kafka(f"ecosystem/{context.directory.name}/source", 1)
    context.clusters.append(source)
    source.start()
    a, b = source.address, context.cluster.address
    records.create(a, "all-sorts", partitions=2, retention_ms="-1")
    pairs, sent, seen = begin(a, compression_type="zstd")
    all_sorts(a)

    mirror = Process(context.directory, "mirror", command(a, b, "--interval", "2")).start()
    there = records.wait("the topic's copy", records.PATIENCE_S, lambda: mirror.check() or TOPIC in records.metadata(b).topics)
    assert there and len(records.partitions(b, TOPIC)) == 3
    equal(a, b, TOPIC, len(sent))
    records.wait("the configs", records.PATIENCE_S, lambda: records.configs(b, TOPIC)["retention.ms"] == "86400000")
    assert records.configs(b, TOPIC)["max.message.bytes"] == "500000"
    assert records.configs(b, "settings")["cleanup.policy"] == "compact"
    later_changes(a, b, TOPIC)

    kills = 0
    with records.Steady(a, TOPIC, pairs, rate=400) as steady, context.killer([TOPIC, "__consumer_offsets"]) as killer:
        while kills * 10 < context.seconds:
            steady.ended.wait(8)
            if kills == 1:
                # The mirror waits for the source as well.
                source.nodes[0].kill()
                source.nodes[0].start()
                steady.ended.wait(5)
                mirror.check()
            mirror.kill()
            kills += 1
            steady.ended.wait(2)
            mirror.start()
    sent += steady.sent
    count = equal(a, b, TOPIC, len(sent))
    equal(a, b, "all-sorts", 1)
    mirror.check()

    # A group moves over: what it has not read there, it reads here; it may read again, and misses nothing.
    seen += records.consume(a, GROUP, TOPIC, 500)
    mirror.kill()
    last = once(context, a, b)
    assert last["event"] == "done", last
    assert once(context, a, b)["records"] == 0, "the second run has copied something"
    again = move_group(b, GROUP, TOPIC, seen) - len(sent)
    return f"{count} records, {kills} kills of the mirror, {killer.kills} of brokers, {again} read again by the moved group"


def command(a, b, *more):
    return [str(klamm_binary()), "mirror", "--from", a, "--to", b, "--name", "ecosystem", *more]


def once(context, a, b):
    """Runs it until all is copied; what it has said last."""
    ended = subprocess.run(command(a, b, "--once", "--json"), capture_output=True, text=True, timeout=300)
    (context.directory / "once.log").write_text(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def all_sorts(address):
    """Tombstones, headers, times, every compression, transactions that are committed and aborted."""
    for number, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd")):
        producer = Producer({"bootstrap.servers": address, "compression.type": codec, "linger.ms": 20, "log_level": 0,
                             "transactional.id": "all-sorts"})
        producer.init_transactions(records.REQUEST_S)
        for commits in (True, False, True):
            producer.begin_transaction()
            for n in range(40):
                value = None if n % 7 == 3 else f"{codec}-{commits}-{n}" * (n + 1)
                headers = [("h", b"1"), ("h", None)] if n % 3 == 0 else None
                producer.produce("all-sorts", value, None if n % 5 == 4 else str(n), n % 2, headers=headers,
                                 timestamp=1_700_000_000_000 + number * 1000 + n)
            producer.flush(records.REQUEST_S)
            (producer.commit_transaction if commits else producer.abort_transaction)(records.REQUEST_S)


def contents(address, topic):
    """What readers see, by partition: key, value, headers, time and its kind of each record."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "not-used", "enable.auto.commit": False, "log_level": 0,
                         "isolation.level": "read_committed", "auto.offset.reset": "error", "enable.partition.eof": True})
    found = {p.partition: [] for p in records.partitions(address, topic)}
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in found])
        missing = set(found)
        while missing:
            message = consumer.poll(records.REQUEST_S)
            assert message is not None, f"{topic}: no end"
            if message.error() is None:
                found[message.partition()].append(repr((message.key(), message.value(), message.headers(), message.timestamp())))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                missing.discard(message.partition())
            else:
                raise AssertionError(f"{topic}: {message.error()}")
        return found
    finally:
        consumer.close()


def equal(a, b, topic, count):
    """The copy has all that the source has, each record once and in order; gives how many."""
    want = contents(a, topic)
    total = sum(map(len, want.values()))
    assert total >= count, f"{total} of {count} records at the source"
    records.read_until(b, topic, total)
    got = contents(b, topic)
    for p in sorted(want):
        # Time stamps of two partitions may be the same: a record is known by its place.
        each_once_in_order([f"{i}: {r}" for i, r in enumerate(got.get(p, []))], [f"{i}: {r}" for i, r in enumerate(want[p])], f"{topic}-{p}")
    return total
