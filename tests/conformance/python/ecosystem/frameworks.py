"""Stream processing that is not Java: quixstreams and faust-streaming, each with a table that a changelog keeps."""

import collections
import pathlib
import shutil
import signal

from brokers import free_port
from suite import environment

from . import records
from .part import each_once_in_order, numbered, part
from .process import Process

HERE = pathlib.Path(__file__).resolve().parent
QUIX = ["quixstreams==3.28.1"]
FAUST = ["faust-streaming==0.15.3"]


class App(Process):
    """A Python program of this folder in an environment of its own."""

    def __init__(self, directory, packages, program, *arguments):
        name = packages[0].partition("==")[0]
        command = [environment(f"ecosystem-{name}", packages), HERE / program, *map(str, arguments)]
        super().__init__(directory, program, command)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=90)


def chain(context, app, source, target, state, exact):
    """Feeds, kills, takes the state away, feeds again; then looks at what came out."""
    address = context.cluster.address
    pairs = numbered(20)
    app.start()
    with context.killer([source, "__consumer_offsets", target]) as killer:
        sent = [next(pairs) for _ in range(1000)]
        records.feed(address, source, sent)
        wait_for(context, app, target, sent)
        with records.Steady(address, source, pairs, rate=200) as steady:
            for _ in range(2):
                steady.ended.wait(max(6, context.seconds / 4))
                app.kill()
                app.start()
        sent += steady.sent
        wait_for(context, app, target, sent)
    app.stop()
    shutil.rmtree(state, ignore_errors=True)
    app.start()
    more = [next(pairs) for _ in range(500)]
    records.feed(address, source, more)
    sent += more
    wait_for(context, app, target, sent)
    app.check()
    app.stop()
    want, got = collections.defaultdict(list), collections.defaultdict(list)
    for key, value in sent:
        want[key].append(f"{value}:{int(value) + 1}")
    for record in records.read(address, target):
        got[record.key].append(record.value)
    for key in sorted(want.keys() | got.keys()):
        if exact:
            each_once_in_order(got[key], want[key], f"key {key}")
        else:
            # At least once: what was counted is never forgotten.
            forgotten = [v for v in got[key] if int(v.partition(":")[2]) <= int(v.partition(":")[0])]
            assert not forgotten, f"key {key}: {len(forgotten)} counts are too low, as {forgotten[:3]}"
    return f"{len(sent)} records, {killer.kills} kills of brokers"


def wait_for(context, app, topic, sent):
    """Until something has come out for all that was sent."""
    wanted = set(sent)

    def there():
        app.check()
        return wanted <= {(r.key, r.value.partition(":")[0]) for r in records.read(context.cluster.address, topic)}
    records.wait(f"{len(wanted)} results in {topic}", records.PATIENCE_S, there)


@part("quixstreams")
def quixstreams(context):
    """quixstreams with `exactly-once`, a state store and its changelog topic: each input once, in order."""
    records.create(context.cluster.address, "quix-in", "quix-out", partitions=4)
    state = context.directory / "quix-state"
    app = App(context.directory, QUIX, "quix_app.py", context.cluster.address, "quix-in", "quix-out", state)
    summary = chain(context, app, "quix-in", "quix-out", state, exact=True)
    changelogs = [t for t in records.metadata(context.cluster.address).topics if t.startswith("changelog__eco-quix")]
    assert changelogs and all("compact" in records.configs(context.cluster.address, t)["cleanup.policy"] for t in changelogs), changelogs
    return summary


@part("faust")
def faust(context):
    """faust-streaming with a table: at least once, and no count is forgotten."""
    records.create(context.cluster.address, "faust-in", "faust-out", partitions=4)
    state = context.directory / "faust-state"
    app = App(context.directory, FAUST, "faust_app.py", context.cluster.address, "faust-in", "faust-out", state, free_port(),
              max(1, context.cluster.replicas))
    summary = chain(context, app, "faust-in", "faust-out", state, exact=False)
    assert records.configs(context.cluster.address, "eco-faust-counts-changelog")["cleanup.policy"] == "compact"
    return summary
