"""Starts what the scripts beside this folder compare: Klamm, and Apache Kafka as the reference."""

import atexit
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

CONFORMANCE = pathlib.Path(__file__).resolve().parent.parent
ROOT = CONFORMANCE.parent.parent
KAFKA = CONFORMANCE / "kafka" / "kafka"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def scratch(name):
    """A folder for what a script makes and keeps."""
    path = TARGET / "scripts" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


RESERVED = []


def free_port(also=0):
    """A port that nobody listens on, and that no other test is given while this process lives; with the
    one `also` above it (Kafka's controller has the next one). Below the range of clients' ports: a client that polls a port of that range
    before anyone listens can connect to itself."""
    while True:
        port = random.randrange(20000, 32000)
        if reserve(port) and (also == 0 or reserve(port + also)):
            return port


def reserve(port):
    """Whether `port` was free and is this process's now. That nobody listens yet says little: others may
    have chosen it. An abstract Unix socket with the port's name can be had by one process, and ends with
    it; the tests in Rust take the same names (`port.rs`)."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0klamm-test-port-{port}")
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
    except OSError:
        name.close()
        return False
    RESERVED.append(name)
    return True


def klamm_binary():
    """`KLAMM_BIN`, or a release build."""
    if "KLAMM_BIN" in os.environ:
        return pathlib.Path(os.environ["KLAMM_BIN"])
    subprocess.run(["cargo", "build", "--release", "--bin", "klamm"], cwd=ROOT, check=True)
    return TARGET / "release/klamm"


class Node:
    """A broker process; its data and log are kept until the next run."""

    def __init__(self, name, data=None, port=None, wipe=True):
        self.dir = TARGET / "scripts" / name
        if wipe:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data = pathlib.Path(data or self.dir / "data")
        self.port = port or free_port()
        self.process = None
        atexit.register(self.kill)

    def command(self):
        """The command that becomes the broker."""
        raise NotImplementedError

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts it and gives the seconds until it has answered ApiVersions. A connection alone proves
        nothing: a killed broker's socket may live a little longer."""
        command = self.command()
        with open(self.dir / "log", "ab") as log:
            started = time.monotonic()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while True:
            try:
                connection = Connection(self.port)
                connection.send(struct.pack(">ihhih", 10, 18, 0, 1, 0))
                answered = connection.receive()
                connection.close()
            except OSError:
                answered = None
            if answered:
                return time.monotonic() - started
            if self.process.poll() is not None or time.monotonic() > started + 120:
                sys.exit(f"the broker does not serve: see {self.dir / 'log'}")
            time.sleep(0.001)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        assert code == 0, f"exit code {code} after SIGTERM: see {self.dir / 'log'}"

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Klamm(Node):
    """A process of Klamm."""

    def __init__(self, name, *args, **where):
        super().__init__(name, **where)
        self.args = args

    def command(self):
        return [klamm_binary(), "serve", "--data", self.data, "--listen", self.address, *self.args]


class Kafka(Node):
    """A process of the reference, with these properties beyond those of `kafka format`, and with these flags of the JVM."""

    def __init__(self, name, *properties, flags=("-Xms1G", "-Xmx1G")):
        super().__init__(name, port=free_port(also=1))
        subprocess.run([KAFKA, "fetch"], check=True)
        self.flags = flags
        self.data.mkdir()
        subprocess.run([KAFKA, "format", self.data, str(self.port), *properties], check=True)

    def command(self):
        return [KAFKA, "run", self.data, *self.flags]


def start_kafka(*properties):
    """Starts the reference on an empty directory, with these properties (`NAME=VALUE`); gives its port."""
    port = free_port(also=1)
    subprocess.run([KAFKA, "start", str(port), *properties], check=True)
    atexit.register(lambda: subprocess.run([KAFKA, "stop"], check=False))
    return port


def kafka_node(node_id, voters, count):
    """Properties of one of `count` nodes of the reference, beyond those that `kafka format` writes for one that is alone."""
    return {"node.id": node_id, "controller.quorum.voters": voters, "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count, "transaction.state.log.min.isr": min(2, count)}


def client_jar():
    subprocess.run([KAFKA, "fetch"], check=True)
    return next((ROOT / "target/kafka/jars").glob("kafka-clients-*.jar"))


class Connection:
    """A socket that speaks in frames."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame without its length; `None` when the peer closes."""
        head = self._exactly(4)
        return head and self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, n):
        out = b""
        while len(out) < n:
            try:
                piece = self.socket.recv(n - len(out))
            except ConnectionError:
                return None
            if not piece:
                return None
            out += piece
        return out

    def close(self):
        self.socket.close()
