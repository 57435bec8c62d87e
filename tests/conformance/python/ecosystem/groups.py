"""Consumer groups of the new protocol (KIP-848), with members of librdkafka, of Kafka's own client and of franz-go: alone, and
beside classic ones."""

import json
import pathlib
import signal
import subprocess
import sys
import threading

from brokers import CONFORMANCE, scratch

from . import java, records
from .part import numbered, part
from .process import started
from .records import wait

PROGRAM = pathlib.Path(__file__).resolve().parent / "group_member.py"
NEW = {"group.protocol": "consumer"}
# Longer than a session, which is 45 s.
MISSED_S = 90


class Member:
    """A program of its own: what it has, and what it has read."""

    def __init__(self, context, command):
        self.has, self.seen = [], set()
        with open(context.directory / "members.log", "ab") as log:
            self.process = started(command, subprocess.PIPE, log)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in map(bytes.decode, self.process.stdout):
            if line.startswith("["):
                self.has = json.loads(line)
            else:
                self.seen.add(tuple(line.split()))

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=60)


def librdkafka(address, group, topic, config):
    if config["group.protocol"] == "classic":
        config = {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000, **config}
    return [sys.executable, PROGRAM, address, group, topic, json.dumps(config)]


def of_java(address, group, topic, config):
    if config["group.protocol"] == "classic":
        sticky = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
        config = {"partition.assignment.strategy": sticky, "session.timeout.ms": 6000, **config}
    return java.command("GroupMember", address, group, topic, *(f"{name}={value}" for name, value in config.items()), memory="96m")


def of_go(address, group, topic, config):
    return [scratch("ecosystem-go") / "groupmember", address, group, topic, json.dumps(config)]


def share(members, partitions):
    """Each partition has one of the members, and each member as many as the others."""
    counts = [len(it.has) for it in members]
    each = {tuple(it) for member in members for it in member.has}
    return sum(counts) == len(each) == partitions and max(counts) - min(counts) <= 1


@part("groups")
def groups(context):
    return story(context, librdkafka)


@part("groups-java")
def groups_java(context):
    return story(context, of_java)


@part("groups-go")
def groups_go(context):
    subprocess.run(["go", "build", "-o", scratch("ecosystem-go") / "groupmember", "."], cwd=CONFORMANCE / "go", check=True)
    return story(context, of_go)


def story(context, client):
    """Members of this client come, leave and are killed."""
    address, made = context.cluster.address, []

    def member(group, topic, **config):
        config = NEW | {key.replace("_", "."): value for key, value in config.items()}
        made.append(Member(context, client(address, group, topic, config)))
        return made[-1]

    records.create(address, "orders", partitions=6)
    with context.killer(["orders", "__consumer_offsets"]) as killer:
        pairs = numbered(60)
        records.feed(address, "orders", [next(pairs) for _ in range(3000)])
        first = member("g", "orders")
        wait("one member has all", MISSED_S, lambda: share([first], 6))
        second, third = member("g", "orders"), member("g", "orders")
        all_of_them = [first, second, third]
        wait("three share", MISSED_S, lambda: share(all_of_them, 6))
        wait("every record is read", MISSED_S, lambda: len(first.seen | second.seen | third.seen) == 3000)
        third.end()
        wait("two share what one has left", MISSED_S, lambda: share([first, second], 6))
        records.add_partitions(address, "orders", 9)
        wait("two share new partitions", MISSED_S, lambda: share([first, second], 9))
        wait("what was read is committed", MISSED_S, lambda: sum(records.committed(address, "g", "orders").values()) == 3000)
        second.end()
        wait("one has what another has left", MISSED_S, lambda: share([first], 9))
        first.end()

        statics = [member("g", "orders", group_instance_id=name) for name in ("a", "b")]
        wait("two static members share", MISSED_S, lambda: share(statics, 9))
        had = statics[0].has
        statics[0].end()
        statics[0] = member("g", "orders", group_instance_id="a")
        if client is of_go:
            # It leaves with epoch -2 and without its instance's name, which Kafka refuses too: it is missed when its session is over.
            wait("two static members share again", MISSED_S, lambda: share(statics, 9))
        else:
            wait("a static member has its own again", MISSED_S, lambda: statics[0].has == had)
        for it in statics:
            it.end()

        records.create(address, "stock-1", partitions=2)
        pattern = member("patterns", "^stock-.*")
        wait("a pattern finds a topic", MISSED_S, lambda: share([pattern], 2))
        records.create(address, "stock-2", partitions=3)
        wait("a pattern finds a new topic", MISSED_S, lambda: share([pattern], 5))
        pattern.end()

        classic = member("moves", "orders", group_protocol="classic")
        wait("a classic member is alone", MISSED_S, lambda: share([classic], 9))
        new = member("moves", "orders")
        wait("a classic and a new member share", MISSED_S, lambda: share([classic, new], 9))
        classic.end()
        wait("the new member is alone", MISSED_S, lambda: share([new], 9))
        classic = member("moves", "orders", group_protocol="classic")
        wait("a new and a classic member share", MISSED_S, lambda: share([new, classic], 9))
        new.end()
        wait("the classic member is alone", MISSED_S, lambda: share([classic], 9))
        classic.end()

    # Whoever is killed is missed when its session is over, which begins anew with each broker that takes the group over.
    left, lost = member("g", "orders"), member("g", "orders")
    wait("two share again", MISSED_S, lambda: share([left, lost], 9))
    lost.end(signal.SIGKILL)
    wait("one has what another has lost", MISSED_S, lambda: share([left], 9))
    again = member("g", "orders")
    wait("one that comes again has its share", MISSED_S, lambda: share([left, again], 9))
    left.end()
    again.end()
    return f"3000 records, {len(made)} members, {killer.kills} kills of brokers"
