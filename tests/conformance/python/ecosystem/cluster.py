"""Clusters to run against: Klamm's processes, Apache Kafka's, or brokers that somebody else started."""

import atexit
import concurrent.futures
import shutil
import signal
import socket
import subprocess
import sys
import time

from brokers import KAFKA, TARGET, Klamm, free_port, kafka_node

from . import records
from .background import Background

# Brokers take so long to be in sync again at most.
RECOVERY_S = 90
# Small, so that three fit beside the programs of a part.
SIZES = ("--shards", "2", "--memory", "384MiB", "--journal", "64MiB")
# Nodes that may run.
NODES = []
QUICK = {
    "group.initial.rebalance.delay.ms": "0",
    # Members of streams groups cannot say themselves how long they may be silent.
    "group.streams.min.session.timeout.ms": "6000", "group.streams.session.timeout.ms": "6000",
    "group.streams.min.heartbeat.interval.ms": "1500", "group.streams.heartbeat.interval.ms": "1500",
}


def in_sync(count):
    """Settings of a cluster in which two of three brokers must have what is acknowledged."""
    return QUICK | ({"default.replication.factor": "3", "min.insync.replicas": "2"} if count > 1 else {})


class Given:
    """Brokers that run already, and are left alone."""

    def __init__(self, address):
        self.address, self.nodes = address, []
        self.replicas = -1

    def start(self):
        pass

    def stop(self):
        pass


class Cluster:
    """Nodes with `node_id`, `port`, `start()`, `kill()` and `stop()`."""

    def __init__(self, nodes):
        self.nodes, self.replicas = nodes, min(3, len(nodes))
        NODES.extend(nodes)
        self.address = ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    def start(self):
        """All at once: a node of a cluster serves nobody before it has a quorum."""
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.start(), self.nodes))
        records.wait("all brokers", RECOVERY_S, lambda: len(records.metadata(self.address).brokers) == len(self.nodes))

    def stop(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.stop(), self.nodes))


def klamm(name, count):
    """`count` brokers of Klamm with empty directories below `target/scripts/NAME`."""
    overrides = [word for key, value in in_sync(count).items() for word in ("--override", f"{key}={value}")]
    voters = ",".join(f"{n}@127.0.0.1:{free_port()}" for n in range(1, count + 1))
    nodes = []
    for n in range(1, count + 1):
        membership = ["--node-id", str(n), "--voters", voters] if count > 1 else []
        node = Klamm(f"{name}/klamm-{n}", *SIZES, *overrides, *membership)
        node.node_id = n
        nodes.append(node)
    return Cluster(nodes)


def kafka(name, count):
    """The same of Apache Kafka."""
    ports = [free_port(also=1) for _ in range(count)]
    # The script has the controller on the next port.
    voters = ",".join(f"{n}@127.0.0.1:{port + 1}" for n, port in enumerate(ports, 1))
    return Cluster([KafkaNode(f"{name}/kafka-{n}", n, port, voters, count) for n, port in enumerate(ports, 1)])


class KafkaNode:
    def __init__(self, name, node_id, port, voters, count):
        self.node_id, self.port, self.process = node_id, port, None
        self.dir = TARGET / "scripts" / name
        shutil.rmtree(self.dir, ignore_errors=True)
        settings = kafka_node(node_id, voters, count) | in_sync(count)
        subprocess.run([KAFKA, "format", self.dir, str(port), *(f"{k}={v}" for k, v in settings.items())], check=True)

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([KAFKA, "run", self.dir, "-Xmx384m"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"Kafka does not serve: see {self.dir / 'log'}")
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Killer(Background):
    """Sends SIGKILL to who leads partition 0 of one of `topics` after the other, every `every_s`
    seconds, and starts it again; the next one is killed when all replicas are in sync again."""

    def __init__(self, cluster, topics, running=True, every_s=20):
        super().__init__()
        self.cluster, self.topics, self.running, self.every_s, self.kills = cluster, topics, running, every_s, 0

    def work(self):
        while self.cluster.nodes and self.running and not self.ended.wait(self.every_s):
            self.kill_one(self.topics[self.kills % len(self.topics)])

    def kill_one(self, topic):
        leads = records.wait(f"a leader of {topic}-0", RECOVERY_S, lambda: (
            [node for node in self.cluster.nodes if node.node_id == records.leader(self.cluster.address, topic, 0)]))
        node, leader = leads[0], leads[0].node_id
        node.kill()
        self.kills += 1
        # With others to take over, they have to.
        if len(self.cluster.nodes) > 1:
            others = ",".join(f"127.0.0.1:{it.port}" for it in self.cluster.nodes if it is not node)
            records.wait(f"another leader of {topic}-0 than {leader}", RECOVERY_S,
                         lambda: records.leader(others, topic, 0) not in (leader, -1))
        node.start()
        records.wait("all replicas in sync", RECOVERY_S, lambda: records.replicas_are_in_sync(self.cluster.address))


def end_all():
    """Kills brokers that a part has left."""
    for node in NODES:
        node.kill()
    NODES.clear()


atexit.register(end_all)
