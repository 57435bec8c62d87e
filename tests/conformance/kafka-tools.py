#!/usr/bin/env python3
"""Compares Klamm's Kafka tools with those of Apache Kafka, command by command.

Two brokers run side by side. Each command of the list below is run by Klamm's tool against the one
and by Apache Kafka's own tool against the other; standard output, the messages on the standard error
output and the exit code must be the same. What may differ is said where it is taken out: stack
traces, the text of help, topic ids, paths, the order of lines.

  tests/conformance/kafka-tools.py [--klamm PROGRAM] [--libs DIR] [--only WORD] [--verbose]

Needs Java 17 or later. Kafka's jars come from --libs or $KAFKA_LIBS, a directory of jars; without
one, Maven brings org.apache.kafka:kafka_2.13 and kafka-tools 4.3.1 into target/kafka-libs.
Exit code 0: all the same; 1: some differ; 2: it could not run.
"""

import argparse
import difflib
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KAFKA = "4.3.1"
CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
}

# {b}: the broker; {address}: its address alone; {dir}: a directory with the files below. What follows
# << is typed into the tool.
COMMANDS = r"""
kafka-topics {b} --create --topic foo --partitions 3 --replication-factor 1 --config retention.ms=1000
kafka-topics {b} --create --topic foo
kafka-topics {b} --create --topic foo --if-not-exists
kafka-topics {b} --create --topic a.b
kafka-topics {b} --create --topic a_b
kafka-topics {b} --create --topic 'x y'
kafka-topics {b} --create --topic ''
kafka-topics {b} --create --topic .
kafka-topics {b} --create --topic x --partitions 0
kafka-topics {b} --create --topic x --partitions -3
kafka-topics {b} --create --topic x --replication-factor 3
kafka-topics {b} --create --topic x --replication-factor 0
kafka-topics {b} --create --topic x --replication-factor 40000
kafka-topics {b} --create --topic x --config foo=bar
kafka-topics {b} --create --topic x --config foo
kafka-topics {b} --create --topic x --config retention.ms=
kafka-topics {b} --create --topic x --config retention.ms=abc
kafka-topics {b} --create --topic x --config retention.ms=-5
kafka-topics {b} --create --topic x --partitions abc
kafka-topics {b} --create --topic x --topic y
kafka-topics {b} --create --topic x --replica-assignment 1:1
kafka-topics {b} --create --topic x --replica-assignment 1,1:2
kafka-topics {b} --create --topic x --replica-assignment 7
kafka-topics {b} --create --topic x --replica-assignment 1 --partitions 1
kafka-topics {b} --create --topic ra --replica-assignment 1,1
kafka-topics {b} --create
kafka-topics {b} --list
kafka-topics {b} --list --topic 'f.*,ra'
kafka-topics {b} --list --topic '['
kafka-topics {b} --list --topic nope
kafka-topics {b} --list --exclude-internal
kafka-topics {b} --list left over words
kafka-topics -list --bootstrap-server={address}
kafka-topics {b} --describe
kafka-topics {b} --describe --topic foo
kafka-topics {b} --describe --topic nope
kafka-topics {b} --describe --topic nope --if-exists
kafka-topics {b} --describe --if-exists
kafka-topics {b} --describe --under-replicated-partitions
kafka-topics {b} --describe --unavailable-partitions
kafka-topics {b} --describe --under-min-isr-partitions
kafka-topics {b} --describe --at-min-isr-partitions
kafka-topics {b} --describe --topics-with-overrides
kafka-topics {b} --describe --topics-with-overrides --at-min-isr-partitions
kafka-topics {b} --describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ
kafka-topics {b} --describe --topic-id zzz
kafka-topics {b} --describe --partitions 2
kafka-topics {b} --alter --topic foo --partitions 2
kafka-topics {b} --alter --topic foo --partitions 5
kafka-topics {b} --alter --topic ra --partitions 3 --replica-assignment 1,1,1
kafka-topics {b} --alter --topic foo
kafka-topics {b} --alter --topic foo --config a=b
kafka-topics {b} --alter --topic nope --partitions 5
kafka-topics {b} --alter --topic nope --partitions 5 --if-exists
kafka-topics {b} --delete --topic nope
kafka-topics {b} --delete --topic nope --if-exists
kafka-topics {b} --delete --topic 'a.b|a_b'
kafka-topics {b} --delete --topic
kafka-topics {b}
kafka-topics
kafka-topics --help
kafka-topics --list
kafka-topics {b} --list --create
kafka-topics {b} --foo
kafka-topics {b} --par 3 --create --topic x
kafka-topics {b} --list --command-config {dir}/client.properties
kafka-get-offsets {b}
kafka-get-offsets {b} --topic foo --time earliest
kafka-get-offsets {b} --topic foo --time -3
kafka-get-offsets {b} --topic foo --time max-timestamp
kafka-get-offsets {b} --topic foo --time -4
kafka-get-offsets {b} --topic foo --time -5
kafka-get-offsets {b} --topic foo --time 0
kafka-get-offsets {b} --topic foo --time 99999999999999
kafka-get-offsets {b} --topic foo --time abc
kafka-get-offsets {b} --topic nope
kafka-get-offsets {b} --topic foo --partitions 1,2
kafka-get-offsets {b} --topic foo --partitions x
kafka-get-offsets {b} --topic-partitions foo:1-3,ra:0
kafka-get-offsets {b} --topic-partitions foo:1-3 --topic foo
kafka-get-offsets {b} --exclude-internal-topics
kafka-get-offsets
kafka-get-offsets --topic foo
kafka-get-offsets --bootstrap-server localhost --topic foo
kafka-get-offsets --foo
kafka-delete-records {b} --offset-json-file {dir}/records.json
kafka-delete-records {b} --offset-json-file {dir}/twice.json
kafka-delete-records {b} --offset-json-file {dir}/high-watermark.json
kafka-delete-records {b} --offset-json-file {dir}/no-offset.json
kafka-delete-records {b} --offset-json-file {dir}/version.json
kafka-delete-records {b} --offset-json-file {dir}/broken.json
kafka-delete-records {b}
kafka-delete-records
kafka-log-dirs {b} --describe
kafka-log-dirs {b} --describe --topic-list foo --broker-list 1
kafka-log-dirs {b} --describe --broker-list 1,7
kafka-log-dirs {b} --describe --broker-list x
kafka-log-dirs {b}
kafka-log-dirs
kafka-broker-api-versions {b}
kafka-broker-api-versions
kafka-configs {b} --describe --entity-type topics
kafka-configs {b} --describe --topic foo --all
kafka-configs {b} --describe --entity-type topics --entity-name foo
kafka-configs {b} --describe --topic nope
kafka-configs {b} --alter --topic foo --add-config retention.ms=5,cleanup.policy=[delete]
kafka-configs {b} --alter --topic foo --add-config retention.ms=5 --delete-config retention.ms
kafka-configs {b} --alter --topic foo --delete-config segment.ms
kafka-configs {b} --alter --topic foo --add-config bla=1
kafka-configs {b} --alter --topic foo --add-config retention.ms
kafka-configs {b} --alter --topic foo --add-config retention.ms=abc
kafka-configs {b} --alter --topic nope --add-config retention.ms=5
kafka-configs {b} --describe --topic foo
kafka-configs {b} --alter --topic foo --delete-config retention.ms
kafka-configs {b} --describe --entity-type brokers
kafka-configs {b} --describe --broker 1
kafka-configs {b} --describe --broker 1 --all
kafka-configs {b} --describe --broker-defaults
kafka-configs {b} --describe --entity-type brokers --entity-default
kafka-configs {b} --alter --broker-defaults --add-config log.retention.ms=100000
kafka-configs {b} --alter --broker 1 --add-config log.retention.ms=200000
kafka-configs {b} --describe --entity-type brokers
kafka-configs {b} --alter --broker 1 --delete-config log.retention.ms
kafka-configs {b} --alter --broker 1 --delete-config log.retention.ms
kafka-configs {b} --alter --broker-defaults --delete-config log.retention.ms
kafka-configs {b} --alter --broker 1 --add-config num.partitions=4
kafka-configs {b} --alter --broker x --add-config log.retention.ms=4
kafka-configs {b} --describe --broker 7
kafka-configs {b} --describe --entity-type foo
kafka-configs {b} --describe
kafka-configs {b} --alter --topic foo
kafka-configs {b} --alter
kafka-configs {b}
kafka-configs
kafka-configs --describe --topic foo
kafka-configs {b} --describe --topic foo --add-config a=b
kafka-configs {b} --alter --entity-type topics --add-config a=b
kafka-configs {b} --alter --entity-type brokers --add-config a=b
kafka-configs {b} --describe --entity-type topics --topic foo
kafka-configs {b} --describe --entity-type brokers --topic foo
kafka-configs {b} --describe --topic foo --broker 1
kafka-configs {b} --bootstrap-controller {address} --describe --topic foo
kafka-configs {b} --describe --entity-type topics --entity-default
kafka-configs {b} --describe --entity-type clients --entity-type clients
kafka-configs {b} --alter --topic foo --delete-config retention.ms,segment.ms
kafka-configs {b} --alter --topic foo --topic ra --add-config segment.ms=7
kafka-configs {b} --alter --topic foo --add-config segment.ms=7 --force
kafka-configs {b} --alter --topic foo --add-config-file {dir}/topic.properties
kafka-configs {b} --describe --topic foo
kafka-configs {b} --alter --topic foo --add-config-file {dir}/topic.properties --add-config a=b
kafka-configs {b} --alter --topic foo --add-config 'ret ention=1'
"""

FILES = {
    "client.properties": "request.timeout.ms=20000\n# a comment\nclient.id : me\n",
    "topic.properties": "retention.ms=77\nsegment.ms = 88\n",
    "records.json": '{"partitions":[{"topic":"foo","partition":0,"offset":0},'
    '{"topic":"foo","partition":1,"offset":99}],"version":1}',
    "twice.json": '{"partitions":[{"topic":"foo","partition":0,"offset":1},'
    '{"topic":"foo","partition":0,"offset":-1}],"version":1}',
    "high-watermark.json": '{"partitions":[{"topic":"foo","partition":0,"offset":-1}]}',
    "no-offset.json": '{"partitions":[{"topic":"foo","partition":0}],"version":1}',
    "version.json": '{"partitions":[],"version":2}',
    "broken.json": "{",
}


def fail(message):
    print(f"kafka-tools: {message}", file=sys.stderr)
    sys.exit(2)


def libs(given):
    """The directory of Kafka's jars; Maven fills it if there is none."""
    if given:
        return pathlib.Path(given)
    directory = ROOT / "target" / "kafka-libs"
    if directory.is_dir():
        return directory
    pom = ROOT / "target" / "kafka-libs.pom.xml"
    dependencies = "".join(
        f"<dependency><groupId>org.apache.kafka</groupId><artifactId>{a}</artifactId>"
        f"<version>{KAFKA}</version></dependency>"
        for a in ("kafka_2.13", "kafka-tools")
    )
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>klamm</groupId>"
        f"<artifactId>libs</artifactId><version>1</version><dependencies>{dependencies}"
        "</dependencies></project>"
    )
    part = directory.with_name("kafka-libs.part")
    command = ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={part}"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        fail(f"Maven does not bring Kafka's jars: {e}; name a directory of them with --libs")
    part.rename(directory)
    return directory


class Broker:
    """A broker of Klamm on a free port."""

    def __init__(self, klamm, directory):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        self.data = pathlib.Path(directory)
        self.log = open(self.data.with_suffix(".log"), "w")
        arguments = ["--data", self.data, "--listen", self.address, "--shards", "1"]
        arguments += ["--memory", "128MiB", "--journal", "16MiB"]
        self.process = subprocess.Popen([klamm, "serve", *arguments], stderr=self.log)
        host, port = self.address.split(":")
        for _ in range(600):
            try:
                socket.create_connection((host, int(port))).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    fail(f"the broker ended, see {self.log.name}")
                time.sleep(0.05)
        fail("the broker does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def normal(text, broker):
    """Without what differs from run to run."""
    text = text.replace(broker.address, "ADDRESS").replace(str(broker.data), "DATA")
    # Java prints a set of two, in the order of the day.
    text = text.replace("[[config], [bootstrap-server]]", "[[bootstrap-server], [config]]")
    return re.sub(r"TopicId: \S{22}", "TopicId: ID", text)


def output(text, broker):
    """Lines of the standard output; the order is that of Java's hash tables, so it is sorted away,
    as is that of the partitions in the JSON of kafka-log-dirs."""
    lines = normal(text, broker).splitlines()
    for i, line in enumerate(lines):
        # Sizes are those of two brokers; an error's text, where it is not the broker's, is Java's.
        line = re.sub(r'"size":\d+', '"size":N', line)
        line = re.sub(r"(\terror: \S+Exception): .*", r"\1", line)
        partitions = re.findall(r'\{"partition":.*?\}', line)
        for partition in partitions:
            line = line.replace(partition, "{}", 1)
        lines[i] = line + "".join(sorted(partitions))
    return sorted(lines)


def messages(text, broker):
    """What the standard error output says: no stack traces, no exception's class in front of a
    message that was already said, no list of options after "wrong usage"."""
    said = []
    for line in normal(text, broker).splitlines():
        line = line.removeprefix("java.util.concurrent.ExecutionException: ").rstrip()
        if line.startswith("Option  "):
            break
        trace = line.startswith(("\tat ", "\t... ", "Caused by: "))
        java = re.match(r"(java|joptsimple|com|org)\.[\w.$]+(Exception|Error)?: (.*)", line)
        repeated = java and (java[3] in said or not line.startswith("org.apache.kafka.common.errors"))
        if line and not trace and not repeated:
            said.append(line)
    return said


def run(command, broker, typed=""):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, input=typed)
    except subprocess.TimeoutExpired:
        return ["no end within 120 s"]
    return [
        f"exit code {done.returncode}",
        *(f"out: {line}" for line in output(done.stdout, broker)),
        *(f"err: {line}" for line in messages(done.stderr, broker)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klamm", default=ROOT / "target" / "debug" / "klamm", type=pathlib.Path)
    parser.add_argument("--libs", default=os.environ.get("KAFKA_LIBS"))
    parser.add_argument("--only", default="", help="only commands that contain this")
    parser.add_argument("--verbose", action="store_true", help="show every command and its output")
    options = parser.parse_args()
    klamm = options.klamm.resolve()
    if not klamm.is_file():
        fail(f"{klamm} does not exist: cargo build, or --klamm PROGRAM")
    jars = libs(options.libs)
    java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", f"{jars}/*"]

    with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
        directory = pathlib.Path(directory)
        for name, text in FILES.items():
            (directory / name).write_text(text)
        ours, theirs = (Broker(klamm, directory / name) for name in ("ours", "theirs"))
        different = total = 0
        try:
            for line in COMMANDS.strip().splitlines():
                line, _, typed = line.partition(" << ")
                typed = typed.encode().decode("unicode_escape")
                words = {}
                for broker in (ours, theirs):
                    b = f"--bootstrap-server {broker.address}"
                    text = line.replace("{b}", b).replace("{address}", broker.address)
                    words[broker] = shlex.split(text.replace("{dir}", str(directory)))
                tool = words[ours][0]
                # What changes something is needed by what follows.
                if options.only not in line and not re.search("--create|--alter", line):
                    continue
                total += 1
                got = run([klamm, *words[ours]], ours, typed)
                want = run([*java, CLASSES[tool], *words[theirs][1:]], theirs, typed)
                if got != want:
                    different += 1
                    print(f"DIFFERS  {line}")
                    for change in difflib.unified_diff(want, got, "Kafka", "Klamm", lineterm="", n=1):
                        print(f"    {change}")
                elif options.verbose:
                    print(f"same     {line}")
                    for said in got:
                        print(f"    {said}")
        finally:
            ours.stop()
            theirs.stop()
    print(f"{total} commands, {total - different} the same, {different} different")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
