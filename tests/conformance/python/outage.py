"""How long nobody can write: a client writes one record after the other to one partition and notes when each is acknowledged.

It waits for nothing but the cluster: it asks any broker who leads again and again, and sends what was not acknowledged once more.
"""

import socket
import struct
import threading
import time

from brokers import Connection
from cases import batch

RETRY_S = 0.005
PATIENCE_S = 1.0


class Refused(OSError):
    """The answer has an error code."""


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


class Fields:
    """Reads an answer, field by field."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, code):
        value = struct.unpack_from(">" + code, self.data, self.at)[0]
        self.at += struct.calcsize(">" + code)
        return value

    def text(self):
        size = self.number("h")
        self.at += max(size, 0)
        return self.data[self.at - size : self.at].decode() if size >= 0 else None

    def array(self, read):
        return [read() for _ in range(self.number("i"))]


class Client:
    """A connection to one broker at a time."""

    def __init__(self):
        self.connection, self.port = None, None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection, self.port = None, None

    def call(self, port, api, version, body):
        """The answer's fields; an OSError where there is none in time."""
        try:
            if self.port != port:
                self.close()
                self.connection, self.port = Connection(port), port
                self.connection.socket.settimeout(PATIENCE_S)
                self.connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.send(struct.pack(">ihhih", 10 + len(body), api, version, 1, 0) + body)
            answer = self.connection.receive()
            if not answer:
                raise ConnectionError("closed")
            return Fields(answer[4:])
        except OSError:
            self.close()
            raise

    def metadata(self, port, topic):
        """Ports of brokers by id, and of partition 0 the leader's id and how many replicas are in sync."""
        it = self.call(port, 3, 1, struct.pack(">i", 1) + string(topic))
        brokers = dict(it.array(lambda: (it.number("i"), (it.text(), it.number("i"), it.text())[1])))
        it.number("i")
        leader, in_sync = -1, 0

        def partition():
            error, number, node = it.number("h"), it.number("i"), it.number("i")
            it.array(lambda: it.number("i"))
            isr = it.array(lambda: it.number("i"))
            return (node if error in (0, 9) else -1, len(isr)) if number == 0 else None

        def topics():
            it.number("h"), it.text(), it.number("b")
            return [found for found in it.array(partition) if found]

        for found in it.array(topics):
            for leader, in_sync in found:
                pass
        return brokers, leader, in_sync

    def create(self, port, topic, replicas):
        """A topic of one partition."""
        body = struct.pack(">i", 1) + string(topic) + struct.pack(">ihiiib", 1, replicas, 0, 0, 30000, 0)
        it = self.call(port, 19, 4, body)
        it.number("i"), it.number("i"), it.text()
        if error := it.number("h"):
            raise Refused(f"creating {topic}: error code {error}")


class Writer(threading.Thread):
    """See the module. `ports` are those of all brokers."""

    def __init__(self, ports, topic):
        super().__init__(daemon=True)
        self.ports, self.topic = ports, topic
        self.acknowledged, self.refused = [], 0
        self.ends = False
        records = batch([b"x" * 100])
        head = struct.pack(">hhi", -1, -1, 30000) + struct.pack(">i", 1) + string(topic)
        self.body = head + struct.pack(">iii", 1, 0, len(records)) + records

    def run(self):
        client, leader, turn = Client(), None, 0
        while not self.ends:
            try:
                if leader is None:
                    turn += 1
                    brokers, node, _ = client.metadata(self.ports[turn % len(self.ports)], self.topic)
                    leader = brokers.get(node)
                    if leader is None:
                        raise ConnectionError("nobody leads")
                it = client.call(leader, 0, 3, self.body)
                it.number("i"), it.text(), it.number("i"), it.number("i")
                if error := it.number("h"):
                    self.refused += 1
                    raise Refused(f"error code {error}")
                self.acknowledged.append(time.monotonic())
            except OSError:
                leader = None
            time.sleep(RETRY_S if leader is None else 0.001)
        client.close()

    def stall(self, begun):
        """The longest time between two acknowledgements since then, s; to now, where none came since."""
        times = [t for t in list(self.acknowledged) if t >= begun]
        before = [t for t in list(self.acknowledged) if t < begun]
        all_of = [before[-1] if before else begun, *times, *([] if times else [time.monotonic()])]
        return max((b - a for a, b in zip(all_of, all_of[1:])), default=0.0)

    def stop(self):
        self.ends = True
        self.join(10)
