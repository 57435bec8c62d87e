"""Streams groups (KIP-1071) with Kafka Streams: the broker assigns tasks and creates internal topics."""

import collections
import subprocess

from brokers import klamm_binary

from . import records
from .java import command
from .part import part
from .streams import App, Kicks, lines

GROUP, INSTANCES = "eco-words", "abc"
# Two subtopologies of four tasks each; the second has a state.
TASKS = sorted(f"{subtopology}_{partition}" for subtopology in range(2) for partition in range(4))
STATEFUL = [task for task in TASKS if task.startswith("1_")]


class Member(App):
    """An instance of a streams group."""

    def __init__(self, context, group, instance, **settings):
        # What the brokers say of sessions holds.
        unset = {"session.timeout.ms": None, "heartbeat.interval.ms": None}
        super().__init__(context, "words", "words", f"{group}-counts", instance, **unset | {
            "application.id": group, "group.protocol": "streams"} | settings)

    def asked(self, what):
        self.check()
        try:
            text = self.ask(what)
        except OSError:
            text = None
        return [tuple(line.split(" ")) for line in (text or "").splitlines()]


def together(members):
    """Counts of all stores; none of a word may be in two of them."""
    found = collections.Counter()
    for member in members:
        for word, count in member.asked("counts"):
            assert word not in found, f"{word} is counted by two"
            found[word] = int(count)
    return found


def tasks(members, role):
    return sorted(task for member in members for is_role, task in member.asked("tasks") if is_role == role)


def tool(context, *arguments):
    """Kafka's own kafka-streams-groups.sh."""
    line = command("org.apache.kafka.tools.streams.StreamsGroupCommand", "--bootstrap-server", context.cluster.address, *arguments,
                   level="error")
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, f"{arguments}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def configure(context, group, setting):
    subprocess.run([klamm_binary(), "kafka-configs", "--bootstrap-server", context.cluster.address, "--alter", "--entity-type", "groups",
                    "--entity-name", group, "--add-config", setting], check=True, capture_output=True)


@part("streams-groups")
def streams_groups(context):
    """Word count in three instances, `group.protocol=streams`, exactly once: each is killed and started again, with standbys that are
    asked for by a group config. All tasks run, once each, and the counts are those of the input. Then at least once."""
    address = context.cluster.address
    records.create(address, "words", f"{GROUP}-counts", "eco-least-counts", partitions=4)
    counts = collections.Counter()

    def feed(batch):
        records.feed(address, "words", batch)
        for _, line in batch:
            counts.update(line.split(" "))

    configure(context, GROUP, "streams.num.standby.replicas=1")
    configure(context, GROUP, "streams.initial.rebalance.delay.ms=0")
    feed(lines(1000, 1))
    members = [Member(context, GROUP, name, **{"processing.guarantee": "exactly_once_v2"}) for name in INSTANCES]
    for member in members:
        # Where its state can be asked for.
        settings = context.directory / f"words-{member.state_dir.name.removeprefix('state-')}.properties"
        settings.write_text(settings.read_text() + f"application.server=127.0.0.1:{member.http}\n")
        member.start()
    records.wait("the counts", records.PATIENCE_S, lambda: together(members) == counts)
    changelog, repartition = f"{GROUP}-counts-changelog", f"{GROUP}-words-repartition"
    for topic, policy in ((changelog, "compact"), (repartition, "delete")):
        found = records.configs(address, topic)
        assert found["cleanup.policy"] == policy, f"{topic}: {found['cleanup.policy']}"
        assert len(records.partitions(address, topic)) == 4, topic
    with Kicks(members, 11) as kicks, context.killer(["words", changelog, repartition, "__consumer_offsets", "__transaction_state"]) as killer:
        for seed in range(2, 2 + context.seconds):
            feed(lines(50, seed))
            killer.ended.wait(1)
    records.wait("each task at one member", records.PATIENCE_S, lambda: tasks(members, "active") == TASKS)
    records.wait("a standby of each task with a state", records.PATIENCE_S, lambda: tasks(members, "standby") == STATEFUL)
    for member in members:
        mine = member.asked("tasks")
        assert len({task for _, task in mine}) == len(mine), f"{member.name} has a task twice: {mine}"
    records.wait("the counts", records.PATIENCE_S, lambda: together(members) == counts)
    last = {record.key: int(record.value) for record in records.read(address, f"{GROUP}-counts")}
    assert last == counts, "the last value of each word in the output is not its count"
    everywhere = {(repartition, str(partition)) for partition in range(4)}
    # Each instance is told with its next heartbeats.
    records.wait("each instance to know where states can be asked for", records.PATIENCE_S, lambda: all(
        {tuple(place) for _, *place in member.asked("owners") if place[0] == repartition} == everywhere for member in members))
    shown = tool(context, "--describe", "--group", GROUP, "--state")
    assert "Stable" in shown, shown
    shown = tool(context, "--describe", "--group", GROUP, "--members", "--verbose")
    # Each has two threads.
    assert shown.count(GROUP) >= 2 * len(members), shown
    assert GROUP in tool(context, "--list")
    for member in members:
        member.stop()
    records.wait("nobody in the group", records.PATIENCE_S, lambda: "Empty" in tool(context, "--describe", "--group", GROUP, "--state"))
    tool(context, "--delete", "--group", GROUP)
    assert GROUP not in tool(context, "--list")

    least = [Member(context, "eco-least", name) for name in ("d", "e")]
    for member in least:
        member.start()
    records.wait("each task at one member", records.PATIENCE_S, lambda: tasks(least, "active") == TASKS)
    records.wait("counts at least as large as those of the input", records.PATIENCE_S,
                 lambda: (found := together(least)) and all(found[word] >= count for word, count in counts.items()))
    for member in least:
        member.stop()
    return f"{sum(counts.values())} words, {kicks.kills} kills of instances, {killer.kills} of brokers"
