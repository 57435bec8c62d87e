"""Kafka Streams: word count with a state store; exactly once with kills."""

import collections
import random
import shutil
import urllib.error
import urllib.request

from brokers import free_port

from . import records
from .background import Background
from .java import Program, properties
from .part import each_once_in_order, numbered, part

# The least that brokers grant by default: who was killed is missed so late.
SESSION_MS = 6000


class App(Program):
    """An instance of StreamsApp with a state directory of its own."""

    def __init__(self, context, topology, source, target, instance, **settings):
        self.state_dir = context.directory / f"state-{instance}"
        self.http = free_port()
        values = {
            "bootstrap.servers": context.cluster.address, "application.id": f"eco-{topology}", "state.dir": self.state_dir,
            "num.stream.threads": 2, "commit.interval.ms": 200, "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 1500,
            "auto.offset.reset": "earliest", "client.id": instance,
        } | settings
        # Those that are None are left to Kafka's defaults.
        path = properties(context.directory / f"{topology}-{instance}.properties", {k: v for k, v in values.items() if v is not None})
        super().__init__(context.directory, f"{topology}-{instance}", "StreamsApp", topology, source, target, path, self.http)

    def ask(self, what):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{what}", timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            return None

    def counts(self):
        self.check()
        text = self.ask("counts")
        return None if text is None else {word: int(n) for word, n in (line.split(" ") for line in text.splitlines())}

    def wait_for(self, counts, exact=True):
        def there():
            now = self.counts()
            return now == counts if exact else now is not None and all(now.get(word, 0) >= n for word, n in counts.items())
        try:
            records.wait("the counts", records.PATIENCE_S, there)
        except AssertionError as late:
            now = self.counts() or {}
            wrong = {word: (now.get(word), n) for word, n in counts.items() if now.get(word) != n}
            raise AssertionError(f"{late}; {len(wrong)} of {len(counts)} are wrong, as (is, should be): {list(wrong.items())[:5]}") from None


def lines(count, seed):
    draw = random.Random(seed)
    return [(None, " ".join(f"word{min(draw.randrange(60), draw.randrange(60))}" for _ in range(5))) for _ in range(count)]


@part("streams")
def word_count(context):
    """Word count: repartition topic, store, changelog; counts asked from the store and read from the
    output; started again with an empty disk, so that it restores from the changelog."""
    address = context.cluster.address
    records.create(address, "words", "word-counts", partitions=4)
    counts = collections.Counter()

    def feed(batch):
        records.feed(address, "words", batch)
        for _, line in batch:
            counts.update(line.split(" "))

    feed(lines(2000, 1))
    app = App(context, "words", "words", "word-counts", "a").start()
    changelog, repartition = "eco-words-counts-changelog", "eco-words-words-repartition"
    # What is repeated after a lost connection may be counted twice: this guarantee is at least once.
    exact = not context.killing
    app.wait_for(counts, exact)
    with context.killer(["words", changelog, repartition, "__consumer_offsets"]) as killer:
        for seed in range(2, 2 + context.seconds if context.killing else 2):
            feed(lines(50, seed))
            killer.ended.wait(1)
    app.wait_for(counts, exact)
    for topic, policy in ((changelog, "compact"), (repartition, "delete")):
        found = records.configs(address, topic)
        assert found["cleanup.policy"] == policy, f"{topic}: {found['cleanup.policy']}"
        assert len(records.partitions(address, topic)) == 4, topic
    assert records.configs(address, repartition)["retention.ms"] == "-1"

    app.stop()
    shutil.rmtree(app.state_dir)
    again = App(context, "words", "words", "word-counts", "b").start()
    again.wait_for(counts, exact)
    feed(lines(1000, 1_000_000))
    again.wait_for(counts, exact)
    records.wait("the last value of each word in the output to be the store's", records.PATIENCE_S, lambda: (
        {r.key: int(r.value) for r in records.read(address, "word-counts")} == again.counts()))
    # Streams deletes what it has read of its repartition topics.
    records.wait("records deleted from the repartition topic", records.PATIENCE_S, lambda: starts(address, repartition))
    again.stop()
    return f"{sum(counts.values())} words, {killer.kills} kills of brokers"


def starts(address, topic):
    """Whether a partition does not start at 0 any more."""
    asked = {p: records.OffsetSpec.earliest() for p in records.partitions(address, topic)}
    return any(f.result().offset > 0 for f in records.admin(address).list_offsets(asked, request_timeout=records.REQUEST_S).values())


class Kicks(Background):
    """Kills one instance after the other with SIGKILL and starts it again."""

    def __init__(self, apps, every_s):
        super().__init__()
        self.apps, self.every_s, self.kills = apps, every_s, 0

    def work(self):
        while not self.ended.wait(self.every_s):
            app = self.apps[self.kills % len(self.apps)]
            app.kill()
            self.kills += 1
            app.start()


@part("streams-eos")
def exactly_once(context):
    """`exactly_once_v2` in two instances, each killed by SIGKILL, and the brokers too: what comes out has
    each input once, in order for each key, with the count that the store had for it."""
    address = context.cluster.address
    records.create(address, "chain-in", "chain-out", partitions=4)
    apps = [App(context, "chain", "chain-in", "chain-out", name, **{"processing.guarantee": "exactly_once_v2"}).start() for name in "ab"]
    topics = ["chain-in", "__transaction_state", "eco-chain-counts-changelog", "__consumer_offsets", "chain-out"]
    with records.Steady(address, "chain-in", numbered(30), rate=300) as steady:
        records.wait("first results", records.PATIENCE_S, lambda: any(
            records.end_offsets(address, "chain-out", records.IsolationLevel.READ_COMMITTED).values()))
        with Kicks(apps, 13) as kicks, context.killer(topics, always=True) as killer:
            steady.ended.wait(context.seconds)
    sent = collections.defaultdict(list)
    for key, value in steady.sent:
        sent[key].append(f"{value}:{int(value) + 1}")
    got = collections.defaultdict(list)
    for record in records.read_until(address, "chain-out", len(steady.sent)):
        got[record.key].append(record.value)
    for key in sorted(sent.keys() | got.keys()):
        each_once_in_order(got[key], sent[key], f"key {key}")
    for app in apps:
        app.stop()
    records.wait("no open transaction", 60, lambda: not records.open_transactions(address))
    return f"{len(steady.sent)} records, {kicks.kills} kills of instances, {killer.kills} of brokers"
