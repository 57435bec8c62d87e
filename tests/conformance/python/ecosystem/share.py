"""Share groups (KIP-932) with Kafka's own KafkaShareConsumer."""

import collections
import threading

from . import records
from .java import Program
from .part import part

# What a worker has acknowledged when it is killed, and not said: a poll's worth.
UNSAID = 50


def said(workers):
    """What workers have said: by partition and offset, words with delivery counts, in the order of each worker."""
    out = collections.defaultdict(list)
    for worker in workers:
        for line in worker.text().splitlines():
            words = line.split()
            if words and words[0] in ("accepted", "released", "rejected"):
                what, p, offset, count = words
                out[int(p), int(offset)].append((what, int(count)))
    return out


def starts(context, address, group):
    """Where the group begins in each partition, as Kafka's AdminClient has it."""
    asker = Program(context.directory, "starts", "ShareWorker", "offsets", address, group, level="error").start()
    asker.end(60)
    lines = [line.split() for line in asker.text().splitlines() if line.startswith("start ")]
    return {int(p): int(offset) for _, p, offset in lines[-8:]}


@part("share")
def share_group(context):
    """Two members of a share group accept, release and reject; one is killed. Each record is settled, what was released comes again, and
    what a broker has taken for accepted or rejected never does."""
    address, count = context.cluster.address, max(2000, context.seconds * 60)
    records.create(address, "shared", partitions=4)
    workers = [Program(context.directory, f"worker-{n}", "ShareWorker", "work", address, "workers", "shared", level="warn")
               for n in (1, 2)]
    feeder, kills = records.Feeder(address), 0
    with context.killer(["shared", "__share_group_state", "__consumer_offsets"]) as killer:
        for worker in workers:
            worker.start()
        for i in range(count):
            feeder.send("shared", f"k{i}", str(i))
            if i % 60 == 59:
                killer.ended.wait(1)
            if i % (count // 4) == count // 4 - 1:
                workers[0].kill()
                kills += 1
                threading.Event().wait(2)
                workers[0].start()
        feeder.flush()
    ends = records.end_offsets(address, "shared", records.IsolationLevel.READ_UNCOMMITTED)
    # A lock of a worker that was killed lasts 30 s.
    records.wait("all records settled", 150, lambda: starts(context, address, "workers") == ends)
    for worker in workers:
        worker.check()
    values = {(r.partition, r.offset): int(r.value) for r in records.read(address, "shared")}
    words = said(workers)
    settled = {place: [it for it in told if it[0] != "released"] for place, told in words.items()}
    again = {place: told for place, told in settled.items() if len(told) > 1}
    assert not again, f"{len(again)} were delivered again after they were settled, as {sorted(again.items())[:3]}"
    missing = [place for place in values if not settled.get(place)]
    assert len(missing) <= kills * UNSAID, f"{len(missing)} of {count} were settled by nobody, as {missing[:5]}"
    for place, told in settled.items():
        value = values[place]
        expected = "rejected" if value % 25 == 24 else "accepted"
        assert all(what == expected for what, _ in told), (place, value, told)
        if value % 10 == 5 and expected == "accepted":
            assert all(deliveries >= 2 for _, deliveries in told), (place, value, told)
    for worker in workers:
        worker.stop()
    failed = sum(worker.text().count("failed ") for worker in workers)
    return f"{count} records, {len(missing)} settled unsaid, {failed} failed commits, {kills} kills of workers, {killer.kills} of brokers"
