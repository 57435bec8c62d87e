"""MirrorMaker 2 between two clusters."""

import re

from . import records
from .java import Program, properties
from .part import each_once_in_order, numbered, part

TOPIC, GROUP = "orders", "readers"
MIRRORED = f"a.{TOPIC}"


@part("mirror")
def between_two_clusters(context):
    """Topics, configs, checkpoints and offsets from one cluster to another; MirrorMaker is killed and started
    again; a group moves over with its offsets."""
    other = context.start_cluster("other")
    a, b = context.cluster.address, other.address
    pairs, sent, seen = begin(a)

    settings = properties(context.directory / "mm2.properties", {
        "clusters": "a, b", "a.bootstrap.servers": a, "b.bootstrap.servers": b, "a->b.enabled": "true", "b->a.enabled": "false",
        "a->b.topics": ".*", "a->b.groups": ".*", "replication.factor": other.replicas, "tasks.max": 2,
        **{f"{name}.replication.factor": other.replicas for name in (
            "checkpoints.topic", "heartbeats.topic", "offset-syncs.topic", "offset.storage", "status.storage", "config.storage")},
        "emit.checkpoints.interval.seconds": 1, "emit.heartbeats.interval.seconds": 1, "sync.group.offsets.enabled": "true",
        "sync.group.offsets.interval.seconds": 1, "refresh.topics.interval.seconds": 3, "refresh.groups.interval.seconds": 3,
        "sync.topic.configs.interval.seconds": 3, "offset.lag.max": 0, "offset.flush.interval.ms": 1000,
        "b.exactly.once.source.support": "enabled", "dedicated.mode.enable.internal.rest": "false",
        "consumer.auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 1500,
        "scheduled.rebalance.max.delay.ms": 1000,
    })
    maker = Program(context.directory, "mm2", "org.apache.kafka.connect.mirror.MirrorMaker", settings).start()
    there = records.wait("the topic's copy", records.PATIENCE_S, lambda: maker.check() or MIRRORED in records.metadata(b).topics)
    assert there and len(records.partitions(b, MIRRORED)) == 3
    equal(a, b, len(sent))
    copied = [(r.key, r.value) for r in records.read_until(b, "a.settings", 2)]
    assert copied == [("x", "1"), ("y", "2")], copied
    found = records.configs(b, MIRRORED)
    assert (found["retention.ms"], found["max.message.bytes"]) == ("86400000", "500000"), found
    assert records.configs(b, "a.settings")["cleanup.policy"] == "compact"

    # Later changes come over as well.
    later_changes(a, b, MIRRORED)

    kills = 0
    with records.Steady(a, TOPIC, pairs, rate=200) as steady, context.killer([TOPIC, "__consumer_offsets"]) as killer:
        while kills * 15 < context.seconds:
            steady.ended.wait(12)
            maker.kill()
            kills += 1
            steady.ended.wait(3)
            maker.start()
    sent += steady.sent
    equal(a, b, len(sent))

    # A group moves over: what it has not read there, it reads here; what it has read comes again only as far
    # as a translated offset lies behind, which it may, never ahead.
    more = records.consume(a, GROUP, TOPIC, 500)
    seen += more
    at = records.committed(a, GROUP, TOPIC)
    records.wait("checkpoints", records.PATIENCE_S, lambda: "a.checkpoints.internal" in records.metadata(b).topics)
    wanted = sum(offset > 0 for offset in at.values())
    records.wait("translated offsets", records.PATIENCE_S, lambda: len(records.committed(b, GROUP, MIRRORED)) >= wanted)
    maker.stop()
    translated = records.committed(b, GROUP, MIRRORED)
    ends = records.end_offsets(b, MIRRORED, records.IsolationLevel.READ_COMMITTED)
    assert all(0 <= offset <= ends[p] for p, offset in translated.items()), (translated, ends)
    again = move_group(b, GROUP, MIRRORED, seen) - len(sent)
    beats = sum(sum(records.end_offsets(b, name, records.IsolationLevel.READ_COMMITTED).values())
                for name in records.metadata(b).topics if name.endswith("heartbeats"))
    assert beats, "no heartbeats"
    unexpected = re.findall(r"^.*ERROR.*$", maker.text(), re.M)
    return f"{len(sent)} records, {kills} kills of MirrorMaker, {killer.kills} of brokers, {again} read again by the moved group, {len(unexpected)} lines of errors"


def begin(a, **configs):
    """Topics with records, and a group that has read some: the pairs to go on with, those sent, and what was read."""
    records.create(a, TOPIC, partitions=3, retention_ms="86400000", max_message_bytes="500000", **configs)
    records.create(a, "settings", cleanup_policy="compact")
    pairs = numbered(50)
    sent = [next(pairs) for _ in range(3000)]
    records.feed(a, TOPIC, sent)
    records.feed(a, "settings", [("x", "1"), ("y", "2")])
    return pairs, sent, records.consume(a, GROUP, TOPIC, 1000)


def later_changes(a, b, mirrored):
    """A config and a partition more come over, too."""
    records.set_config(a, TOPIC, "retention.ms", "7200000")
    records.add_partitions(a, TOPIC, 4)
    records.wait("the config", records.PATIENCE_S, lambda: records.configs(b, mirrored)["retention.ms"] == "7200000")
    records.wait("the partition", records.PATIENCE_S, lambda: len(records.partitions(b, mirrored)) == 4)


def move_group(b, group, mirrored, seen):
    """The group goes on at the copy with its translated offsets and misses nothing; how many records it has read, those
    of `seen` counted once."""
    translated = records.committed(b, group, mirrored)
    place = lambda r: (r.partition, r.key, r.value)  # noqa: E731
    read, there = {place(r) for r in seen}, records.read(b, mirrored)
    skipped = [r for r in there if r.offset < translated.get(r.partition, 0) and place(r) not in read]
    assert not skipped, f"the moved group would miss {len(skipped)} records, as {skipped[:3]}"
    rest = sum(r.offset >= translated.get(r.partition, 0) for r in there)
    moved = records.consume(b, group, mirrored, rest)
    assert read | {place(r) for r in moved} == {place(r) for r in there}
    return len(read) + len(moved)


def equal(a, b, count):
    """The copy has the same records in the same partitions in the same order, each once."""
    got, want = {}, {}
    for address, topic, by in ((b, MIRRORED, got), (a, TOPIC, want)):
        for record in records.read_until(address, topic, count):
            by.setdefault(record.partition, []).append(f"{record.key}={record.value}")
    for p in sorted(want):
        each_once_in_order(got.get(p, []), want[p], f"{MIRRORED}-{p}")
