"""Kafka's own verifiers: VerifiableProducer, VerifiableConsumer, TransactionalMessageCopier."""

import collections
import json
import threading

from . import records
from .java import Program
from .part import each_once_in_order, part

TOOLS = "org.apache.kafka.tools."


def events(program):
    """What a tool has printed as JSON, by name."""
    out = collections.defaultdict(list)
    for text in program.text().splitlines():
        if text.startswith("{") and text.endswith("}"):
            event = json.loads(text)
            out[event.get("name")].append(event)
    return out


@part("verifiable")
def produce_and_consume(context):
    """What the verifiable producer has had acknowledged is there once, and two verifiable consumers of
    one group see all of it; one of them is killed."""
    address, count = context.cluster.address, max(5000, context.seconds * 200)
    records.create(address, "verified", partitions=4)
    consumers = [Program(context.directory, f"consumer-{n}", TOOLS + "VerifiableConsumer", "--bootstrap-server", address,
                         "--topic", "verified", "--group-id", "verifiers", "--reset-policy", "earliest", "--session-timeout", 6000,
                         level="warn").start() for n in (1, 2)]
    with context.killer(["verified", "__consumer_offsets"]) as killer:
        producer = Program(context.directory, "producer", TOOLS + "VerifiableProducer", "--bootstrap-server", address, "--topic",
                           "verified", "--max-messages", count, "--throughput", 200, "--acks", -1, level="warn").start()
        threading.Event().wait(min(10, context.seconds / 4))
        consumers[0].kill()
        threading.Event().wait(3)
        consumers[0].start()
        producer.end(context.seconds + 240)
    said = events(producer)
    acknowledged = [(e["partition"], e["offset"], e["value"]) for e in said["producer_send_success"]]
    # It does not try again: what was under way to a broker that was killed is an error, and may be there.
    refused = {e["value"] for e in said["producer_send_error"]}
    assert len(acknowledged) + len(refused) == count, (len(acknowledged), len(refused))
    assert context.killing or not refused, said["producer_send_error"][:3]
    there = {(r.partition, r.offset, r.value) for r in records.read(address, "verified")}
    lost = set(acknowledged) - there
    assert not lost, f"{len(lost)} are lost, as {sorted(lost)[:3]}"
    assert {value for _, _, value in there - set(acknowledged)} <= refused, "something is there that nobody sent"
    ends = records.end_offsets(address, "verified", records.IsolationLevel.READ_COMMITTED)
    records.wait("the group at the end", records.PATIENCE_S, lambda: records.committed(address, "verifiers", "verified") == ends)
    covered = collections.defaultdict(set)
    for consumer in consumers:
        consumer.check()
        for event in events(consumer)["records_consumed"]:
            for p in event["partitions"]:
                covered[p["partition"]].update(range(p["minOffset"], p["maxOffset"] + 1))
    for p, end in ends.items():
        missing = set(range(end)) - covered[p]
        # What the killed one saw last may not have been printed.
        assert len(missing) <= 1000 and covered[p] <= set(range(end)), f"verified-{p}: {len(missing)} of {end} were not seen"
    for consumer in consumers:
        consumer.stop()
    return f"{count} records, {len(refused)} not acknowledged, {killer.kills} kills of brokers"


@part("copier")
def transactional_copier(context):
    """Two TransactionalMessageCopiers with random aborts, killed by SIGKILL and started again until they have copied all: the
    copy has each record once, in order, for who reads what is committed, at every moment."""
    address, parts, count = context.cluster.address, 2, 4000
    records.create(address, "copy-from", "copy-to", partitions=parts)
    feeder = records.Feeder(address)
    for i in range(count):
        feeder.send("copy-from", f"k{i}", f"v{i}", i % parts)
    feeder.flush()
    copiers = [Program(context.directory, f"copier-{p}", TOOLS + "TransactionalMessageCopier", "--broker-list", address,
                       "--input-topic", "copy-from", "--input-partition", p, "--output-topic", "copy-to", "--consumer-group", f"copiers-{p}",
                       "--transactional-id", f"copier-{p}", "--transaction-size", 20, "--enable-random-aborts", "--use-group-metadata",
                       "--transaction-timeout", 10000, level="warn") for p in range(parts)]
    expected = {p: [f"v{i}" for i in range(p, count, parts)] for p in range(parts)}
    kills = 0
    with context.killer(["copy-to", "__transaction_state", "copy-from", "__consumer_offsets"], always=True) as killer:
        for copier in copiers:
            copier.start()
        for n in range(4):
            killer.ended.wait(4)
            copier = copiers[n % parts]
            if copier.alive():
                copier.kill()
                kills += 1
                copier.start()
            # Whatever is committed is a beginning of what is to come.
            for p, values in by_partition(records.read(address, "copy-to")).items():
                each_once_in_order(values, expected[p][:len(values)], f"the copy's partition {p} after {kills} kills")
        for copier in copiers:
            copier.end(context.seconds + 240)
    got = by_partition(records.read_until(address, "copy-to", count))
    for p in range(parts):
        each_once_in_order(got.get(p, []), expected[p], f"the copy's partition {p}")
        assert records.committed(address, f"copiers-{p}", "copy-from") == {p: count // parts}
    assert not records.open_transactions(address), records.open_transactions(address)
    aborted = len(records.read(address, "copy-to", "read_uncommitted")) - count
    return f"{count} records, {aborted} more in aborted transactions, {kills} kills of copiers, {killer.kills} of brokers"


def by_partition(found):
    out = collections.defaultdict(list)
    for record in found:
        out[record.partition].append(record.value)
    return out
