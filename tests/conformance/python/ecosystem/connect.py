"""Kafka Connect, distributed: files in and out, exactly once from the source."""

import itertools
import json
import re
import urllib.error
import urllib.request

from brokers import free_port

from . import records
from .background import Background
from .java import Program, properties
from .part import each_once_in_order, part

FILE = "org.apache.kafka.connect.file.FileStream"


class Worker(Program):
    def __init__(self, context, number):
        self.port = free_port()
        replicas = context.cluster.replicas
        path = properties(context.directory / f"worker-{number}.properties", {
            "bootstrap.servers": context.cluster.address, "group.id": "eco-connect",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "config.storage.topic": "connect-configs", "config.storage.replication.factor": replicas,
            "offset.storage.topic": "connect-offsets", "offset.storage.replication.factor": replicas,
            "offset.storage.partitions": 5, "status.storage.topic": "connect-status",
            "status.storage.replication.factor": replicas, "status.storage.partitions": 3,
            "exactly.once.source.support": "enabled", "offset.flush.interval.ms": 1000,
            "listeners": f"HTTP://127.0.0.1:{self.port}", "rest.advertised.host.name": "127.0.0.1",
            # Who was killed is missed soon, and what it did goes to others soon.
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 1500, "scheduled.rebalance.max.delay.ms": 1000,
            "consumer.session.timeout.ms": 6000, "consumer.heartbeat.interval.ms": 1500,
            "consumer.isolation.level": "read_committed",
        })
        super().__init__(context.directory, f"worker-{number}", "org.apache.kafka.connect.cli.ConnectDistributed", path)

    @property
    def id(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path, method="GET", body=None):
        """The answer's JSON; an error of HTTP is an `OSError`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.id}/{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def running(self, name, tasks=1):
        """The status of a connector when it and its tasks run."""
        self.check()
        status = self.ask(f"connectors/{name}/status")
        states = [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
        failed = [task.get("trace") for task in status["tasks"] if task["state"] == "FAILED"]
        assert not failed, f"{name} has failed:\n{failed[0]}"
        return states == ["RUNNING"] * (1 + tasks) and status


class Lines(Background):
    """Appends numbered lines to a file, until told to end."""

    def __init__(self, path, first, rate):
        super().__init__()
        self.path, self.next, self.rate = path, first, rate

    def work(self):
        with open(self.path, "a") as file:
            while not self.ended.wait(1 / self.rate):
                file.write(line(self.next) + "\n")
                file.flush()
                self.next += 1


def line(number):
    return f"<{number:06}>"


def sunk(path):
    """The lines that came out. A killed worker may have written half of one, and then all of it."""
    return re.findall(r"<\d{6}>", path.read_text()) if path.exists() else []


@part("connect")
def distributed(context):
    """Two workers in distributed mode, a file source with exactly-once support and a file sink; the REST
    API; the worker that has the source's task is killed and started again, and again."""
    address, replicas = context.cluster.address, context.cluster.replicas
    source, target = context.directory / "source.txt", context.directory / "sink.txt"
    source.write_text("".join(line(i) + "\n" for i in range(1000)))
    workers = [Worker(context, n).start() for n in (1, 2)]
    first, second = workers
    for worker in workers:
        records.wait("the REST API", records.PATIENCE_S, lambda w=worker: w.check() or w.ask("connectors") is not None)
    about = first.ask("")
    assert about["kafka_cluster_id"] == records.metadata(address).cluster_id, about
    plugins = {plugin["class"] for plugin in first.ask("connector-plugins")}
    assert {FILE + "SourceConnector", FILE + "SinkConnector"} <= plugins, plugins
    checked = first.ask(f"connector-plugins/{FILE}SourceConnector/config/validate", "PUT",
                        {"connector.class": FILE + "SourceConnector", "name": "in", "file": "x"})
    assert checked["error_count"] == 1, checked

    in_config = {"connector.class": FILE + "SourceConnector", "tasks.max": "1", "file": str(source), "topic": "connect-lines",
                 "exactly.once.support": "required", "topic.creation.default.replication.factor": str(replicas),
                 "topic.creation.default.partitions": "1", "topic.creation.default.retention.ms": "86400000"}
    out_config = {"connector.class": FILE + "SinkConnector", "tasks.max": "1", "file": str(target), "topics": "connect-lines"}
    made = records.wait("a connector", 60, lambda: first.ask("connectors", "POST", {"name": "in", "config": in_config}))
    assert made["config"]["topic"] == "connect-lines", made
    records.wait("its task", records.PATIENCE_S, lambda: second.running("in"))
    records.wait("another connector", 60, lambda: second.ask("connectors/out/config", "PUT", out_config))
    records.wait("the task of the other", records.PATIENCE_S, lambda: first.running("out"))
    assert sorted(first.ask("connectors")) == ["in", "out"]
    expected = [line(i) for i in range(1000)]
    each_once_in_order([r.value for r in records.read_until(address, "connect-lines", 1000)], expected, "the topic")
    records.wait("all lines in the sink", records.PATIENCE_S, lambda: len(sunk(target)) >= 1000)
    each_once_in_order(sunk(target), expected, "the sink, where nothing was killed")

    # What Connect keeps, it keeps compacted.
    for topic, partitions in (("connect-configs", 1), ("connect-offsets", 5), ("connect-status", 3)):
        assert records.configs(address, topic)["cleanup.policy"] == "compact", topic
        assert len(records.partitions(address, topic)) == partitions, topic
    assert records.configs(address, "connect-lines")["retention.ms"] == "86400000"

    # Pause, go on, start again, offsets.
    first.ask("connectors/in/pause", "PUT")
    records.wait("the pause", 60, lambda: second.ask("connectors/in/status")["tasks"][0]["state"] == "PAUSED")
    second.ask("connectors/in/resume", "PUT")
    records.wait("the resumption", 60, lambda: first.running("in"))
    records.wait("the offsets", 60, lambda: first.ask("connectors/in/offsets")["offsets"][0]["offset"]["position"] == 9 * 1000)
    records.wait("the sink's offsets", 60, lambda: second.ask("connectors/out/offsets")["offsets"][0]["offset"]["kafka_offset"] >= 1000)

    kills = 0
    topics = ["connect-lines", "connect-offsets", "__transaction_state", "connect-configs", "__consumer_offsets"]
    with Lines(source, 1000, 100) as lines, context.killer(topics) as killer:
        for which in itertools.cycle(("in", "out", "in")):
            lines.ended.wait(15)
            at = records.wait(f"the worker of {which}", records.PATIENCE_S, lambda: any_of(workers).running(which))["tasks"][0]["worker_id"]
            victim = next(worker for worker in workers if worker.id == at)
            victim.kill()
            kills += 1
            lines.ended.wait(3)
            victim.start()
            records.wait("the REST API", records.PATIENCE_S, lambda: victim.check() or victim.ask("connectors") is not None)
            if kills * 15 >= context.seconds:
                break
    expected = [line(i) for i in range(lines.next)]
    each_once_in_order([r.value for r in records.read_until(address, "connect-lines", lines.next)], expected, "the topic")
    records.wait("all lines in the sink", records.PATIENCE_S, lambda: set(expected) <= set(sunk(target)))
    assert set(sunk(target)) == set(expected)

    # Gone by the REST API, and so for both workers.
    for name in ("in", "out"):
        records.wait(f"{name} deleted", 60, lambda n=name: deleted(any_of(workers), n))
    records.wait("both to know it", 60, lambda: [w.ask("connectors") for w in workers] == [[], []])
    for worker in workers:
        worker.stop()
    records.wait("no open transaction", 90, lambda: not records.open_transactions(address))
    return f"{lines.next} lines, {kills} kills of workers, {killer.kills} of brokers"


def any_of(workers):
    return next(worker for worker in workers if worker.alive())


def deleted(worker, name):
    try:
        worker.ask(f"connectors/{name}", "DELETE")
    except urllib.error.HTTPError as failure:
        if failure.code != 404:
            raise
    return True
