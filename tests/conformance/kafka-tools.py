#!/usr/bin/env python3
"""Compares Klamm's Kafka tools with those of Apache Kafka, command by command.

Two brokers run side by side, then two clusters of three. Each command of the lists below is run by
Klamm's tool against the one and by Apache Kafka's own tool against the other; standard output, the
messages on the standard error output and the exit code must be the same. What may differ is said where
it is taken out: stack traces, the text of help, topic ids, paths, times, the order of lines.

  tests/conformance/kafka-tools.py [--klamm PROGRAM] [--libs DIR] [--only WORD] [--verbose]
                                   [--brokers one|three|both]

Needs Java 17 or later. Kafka's jars come from --libs or $KAFKA_LIBS, a directory of jars, among them
slf4j-simple; without one, Maven brings them (version: kafka/pom.xml) into target/kafka/jars.
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
sys.path.insert(0, str(ROOT / "tests" / "conformance" / "python"))
from brokers import Connection, client_jar, free_port  # noqa: E402
from cases import batch  # noqa: E402
from schema import Schema  # noqa: E402

CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
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
kafka-configs {b} --describe --entity-type groups
kafka-configs {b} --describe --group g
kafka-configs {b} --describe --group g --all
kafka-configs {b} --alter --group g --add-config consumer.session.timeout.ms=50000
kafka-configs {b} --describe --group g
kafka-configs {b} --describe --group g --all
kafka-configs {b} --describe --entity-type groups
kafka-configs {b} --alter --group g --add-config consumer.session.timeout.ms=1
kafka-configs {b} --alter --group g --add-config consumer.session.timeout.ms=x
kafka-configs {b} --alter --group g --add-config consumer.heartbeat.interval.ms=60000
kafka-configs {b} --alter --group g --add-config consumer.assignment.interval.ms=15001
kafka-configs {b} --alter --group g --add-config consumer.assignment.interval.ms=0
kafka-configs {b} --describe --group g
kafka-configs {b} --alter --group g --delete-config consumer.assignment.interval.ms
kafka-configs {b} --alter --group g --add-config bla=1
kafka-configs {b} --alter --group g --delete-config consumer.heartbeat.interval.ms
kafka-configs {b} --alter --group g --delete-config consumer.session.timeout.ms
kafka-configs {b} --describe --group g
kafka-configs {b} --alter --entity-type groups --add-config consumer.session.timeout.ms=50000
kafka-configs {b} --alter --entity-type groups --entity-default --add-config consumer.session.timeout.ms=50000
kafka-transactions
kafka-transactions --help
kafka-transactions list
kafka-transactions {b}
kafka-transactions {b} foo
kafka-transactions {b} list
kafka-transactions {b} list --duration-filter x
kafka-transactions {b} list --transactional-id-pattern [
kafka-transactions {b} describe
kafka-transactions {b} describe --transactional-id nope
kafka-transactions {b} describe-producers
kafka-transactions {b} describe-producers --topic ra
kafka-transactions {b} describe-producers --topic ra --partition x
kafka-transactions {b} describe-producers --topic ra --partition 0
kafka-transactions {b} find-hanging
kafka-transactions {b} find-hanging --broker-id 1 --partition 0
kafka-transactions {b} find-hanging --topic ra
kafka-transactions {b} abort
kafka-transactions {b} abort --topic ra --partition 0
kafka-transactions {b} abort --topic ra --partition 0 --start-offset x
kafka-transactions {b} abort --topic ra --partition 0 --start-offset 5
kafka-transactions {b} abort --topic ra --partition 0 --producer-id 7
kafka-transactions {b} abort --topic ra --partition 0 --producer-id 7 --producer-epoch 70000
kafka-transactions {b} abort --topic ra --partition 0 --producer-id 7 --producer-epoch 0
!transaction t ra 0
!transaction other ra 1
kafka-transactions {b} list
kafka-transactions {b} list --duration-filter 3600000
kafka-transactions {b} list --duration-filter -1
kafka-transactions {b} list --transactional-id-pattern o.*
kafka-transactions {b} list --transactional-id-pattern nothing
kafka-transactions {b} describe --transactional-id t
kafka-transactions {b} describe-producers --topic ra --partition 0
kafka-transactions {b} describe-producers --topic ra --partition 0 --broker-id 1
kafka-transactions {b} find-hanging --topic ra
kafka-transactions {b} find-hanging --topic ra --max-transaction-timeout -1
kafka-transactions {b} find-hanging --broker-id 1
kafka-transactions {b} abort --topic ra --partition 0 --start-offset 5
kafka-transactions {b} abort --topic ra --partition 0 --start-offset 0
kafka-transactions {b} describe-producers --topic ra --partition 0
kafka-transactions {b} abort --topic ra --partition 0 --start-offset 0
kafka-transactions {b} forceTerminateTransaction
kafka-transactions {b} forceTerminateTransaction --transactionalId other
kafka-transactions {b} describe --transactional-id other
"""

# For three brokers, as above. A line that begins with ! is done to both clusters: stop or start a broker, wait until
# all replicas are in sync and nothing moves (settle), or begin a transaction: its id, a topic and a partition.
CLUSTER_COMMANDS = r"""
kafka-topics {b} --create --topic foo --replica-assignment 1:2:3,2:3:1,3:1:2
kafka-topics {b} --create --topic bar --replica-assignment 1:2,2:1 --config min.insync.replicas=2
kafka-topics {b} --create --topic one --replica-assignment 3
kafka-topics {b} --create --topic x --replication-factor 4
kafka-topics {b} --create --topic x --replica-assignment 1:2,3
kafka-topics {b} --create --topic x --replica-assignment 1:9
!settle
kafka-topics {b} --describe
kafka-topics {b} --describe --under-replicated-partitions
kafka-topics {b} --describe --at-min-isr-partitions
kafka-broker-api-versions {b}
kafka-log-dirs {b} --describe
kafka-log-dirs {b} --describe --broker-list 1,3 --topic-list foo
kafka-log-dirs {b} --describe --broker-list 1,9
kafka-cluster
kafka-cluster foo
kafka-cluster --foo
kafka-cluster cluster-id
kafka-cluster cluster-id {b}
kafka-cluster cluster-id -b {address}
kafka-cluster cluster-id {b} extra
kafka-cluster cluster-id {b} --command-config {dir}/client.properties
kafka-cluster cluster-id {b} --config {dir}/client.properties
kafka-cluster cluster-id {b} --bootstrap-controller {address}
kafka-cluster cluster-id --boot {address}
kafka-cluster list-endpoints {b}
kafka-cluster list-endpoints {b} --include-fenced-brokers
kafka-cluster unregister {b}
kafka-cluster unregister {b} --id x
kafka-cluster unregister {b} --id 9
kafka-metadata-quorum
kafka-metadata-quorum describe
kafka-metadata-quorum {b}
kafka-metadata-quorum {b} describe
kafka-metadata-quorum {b} describe --status
kafka-metadata-quorum {b} describe --replication
kafka-metadata-quorum {b} describe --replication --human-readable
kafka-metadata-quorum {b} describe --status --human-readable
kafka-metadata-quorum {b} describe --status --replication
kafka-metadata-quorum {b} add-controller
kafka-metadata-quorum {b} --command-config {dir}/client.properties add-controller
kafka-metadata-quorum {b} --command-config {dir}/broker.properties add-controller
kafka-metadata-quorum {b} --command-config {dir}/nope.properties describe --status
kafka-metadata-quorum {b} remove-controller
kafka-metadata-quorum {b} remove-controller -i x -d AAAAAAAAAAAAAAAAAAAAAQ
kafka-metadata-quorum {b} remove-controller -i -3 -d AAAAAAAAAAAAAAAAAAAAAQ
kafka-metadata-quorum {b} remove-controller -i 3 -d zzz
kafka-metadata-quorum {b} remove-controller -i 3 -d AAAAAAAAAAAAAAAAAAAAAQ --dry-run
kafka-metadata-quorum {b} remove-controller -i 9 -d AAAAAAAAAAAAAAAAAAAAAQ
kafka-features
kafka-features describe
kafka-features {b} describe
kafka-features {b} describe --node-id 2
kafka-features {b} foo
kafka-features {b} upgrade
kafka-features {b} upgrade --feature a
kafka-features {b} upgrade --feature a=b
kafka-features {b} upgrade --feature a=0
kafka-features {b} upgrade --feature foo=1 --dry-run
kafka-features {b} upgrade --feature metadata.version=99
kafka-features {b} upgrade --release-version 9
kafka-features {b} upgrade --release-version 4.3 --dry-run
kafka-features {b} upgrade --metadata 4.3 --dry-run
kafka-features {b} downgrade --feature metadata.version=7 --dry-run
kafka-features {b} downgrade --feature metadata.version=7 --unsafe --dry-run
kafka-features {b} disable --feature foo
kafka-features {b} disable
kafka-features version-mapping
kafka-features version-mapping --release-version 3.9
kafka-features version-mapping --release-version 9
kafka-features feature-dependencies
kafka-features feature-dependencies --feature metadata.version=25 --feature eligible.leader.replicas.version=1
kafka-features feature-dependencies --feature group.version=9
kafka-features feature-dependencies --feature foo=1
kafka-leader-election
kafka-leader-election {b}
kafka-leader-election {b} --election-type foo --all-topic-partitions
kafka-leader-election {b} --election-type preferred
kafka-leader-election {b} --election-type preferred --topic foo
kafka-leader-election {b} --election-type preferred --all-topic-partitions --partition 1
kafka-leader-election {b} --election-type preferred --all-topic-partitions
kafka-leader-election {b} --election-type preferred --topic foo --partition 0
kafka-leader-election {b} --election-type unclean --topic foo --partition 1
kafka-leader-election {b} --election-type preferred --topic foo --partition 9
kafka-leader-election {b} --election-type preferred --topic nope --partition 0
kafka-leader-election {b} --election-type PREFERRED --path-to-json-file {dir}/elect.json
kafka-leader-election {b} --election-type preferred --path-to-json-file {dir}/elect-twice.json
kafka-leader-election {b} --election-type preferred --path-to-json-file {dir}/empty.json
kafka-reassign-partitions
kafka-reassign-partitions --list
kafka-reassign-partitions {b}
kafka-reassign-partitions {b} --list
kafka-reassign-partitions {b} --list --execute
kafka-reassign-partitions {b} --list --throttle 5
kafka-reassign-partitions {b} --execute
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics.json
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics.json --broker-list 1,1
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics.json --broker-list x
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics.json --broker-list 1,2
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics.json --broker-list 3,2,1
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics-twice.json --broker-list 1,2
kafka-reassign-partitions {b} --generate --topics-to-move-json-file {dir}/topics-nope.json --broker-list 1,2
kafka-reassign-partitions {b} --verify --reassignment-json-file {dir}/move.json --preserve-throttles
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-nobody.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-twice.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-same.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-stranger.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-nope.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/empty.json
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-factor.json --disallow-replication-factor-change
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move.json
!settle
kafka-reassign-partitions {b} --verify --reassignment-json-file {dir}/move.json --preserve-throttles
kafka-reassign-partitions {b} --verify --reassignment-json-file {dir}/move.json
kafka-reassign-partitions {b} --cancel --reassignment-json-file {dir}/move.json --preserve-throttles
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-back.json --throttle 10000000
!settle
kafka-configs {b} --describe --topic bar
kafka-reassign-partitions {b} --verify --reassignment-json-file {dir}/move-back.json
kafka-configs {b} --describe --topic bar
kafka-topics {b} --describe
!stop 3
kafka-topics {b} --describe
kafka-topics {b} --describe --under-replicated-partitions
kafka-topics {b} --describe --unavailable-partitions
kafka-topics {b} --describe --at-min-isr-partitions
kafka-topics {b} --describe --under-min-isr-partitions
kafka-cluster list-endpoints {b}
kafka-cluster list-endpoints {b} --include-fenced-brokers
kafka-log-dirs {b} --describe
kafka-reassign-partitions {b} --execute --reassignment-json-file {dir}/move-dead.json
kafka-leader-election {b} --election-type preferred --topic foo --partition 2
kafka-leader-election {b} --election-type unclean --topic one --partition 0
!start 3
!settle
kafka-leader-election {b} --election-type preferred --all-topic-partitions
kafka-topics {b} --describe
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
    "broker.properties": "node.id=3\nprocess.roles=broker\n",
    "empty.json": "{}",
    "elect.json": '{"partitions":[{"topic":"foo","partition":0},{"topic":"foo","partition":1}]}',
    "elect-twice.json": '{"partitions":[{"topic":"foo","partition":0},{"topic":"foo","partition":0}]}',
    "topics.json": '{"topics":[{"topic":"foo"}],"version":1}',
    "topics-twice.json": '{"topics":[{"topic":"foo"},{"topic":"foo"}],"version":1}',
    "topics-nope.json": '{"topics":[{"topic":"nope"}],"version":1}',
    "move.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,3]},'
    '{"topic":"bar","partition":1,"replicas":[3,1]}],"version":1}',
    "move-back.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,2]},'
    '{"topic":"bar","partition":1,"replicas":[2,1]}],"version":1}',
    "move-nobody.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[]}]}',
    "move-twice.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1]},'
    '{"topic":"bar","partition":0,"replicas":[2]}]}',
    "move-same.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,1]}]}',
    "move-stranger.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,9]}]}',
    "move-nope.json": '{"partitions":[{"topic":"bar","partition":9,"replicas":[1,2]}]}',
    "move-factor.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,2,3]}]}',
    "move-dead.json": '{"partitions":[{"topic":"bar","partition":0,"replicas":[1,3]}]}',
}


def fail(message):
    print(f"kafka-tools: {message}", file=sys.stderr)
    sys.exit(2)


def libs(given):
    """The directory of Kafka's jars, with the log that is quiet here; Maven brings them if there is none."""
    if given:
        return pathlib.Path(given)
    try:
        return client_jar().parent
    except (OSError, subprocess.CalledProcessError) as e:
        fail(f"Maven does not bring Kafka's jars: {e}; name a directory of them with --libs")


def listening(port, process, log):
    for _ in range(2400):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None:
                fail(f"the broker ended, see {log}")
            time.sleep(0.05)
    fail("the broker does not listen")


class Broker:
    """A broker of Klamm on a free port, or one node of several."""

    def __init__(self, klamm, data, node=1, port=None, voters=None):
        self.klamm, self.node, self.voters = klamm, node, voters
        self.port = port or free_port()
        self.data = pathlib.Path(data)
        self.log = open(self.data.with_suffix(".log"), "w")
        self.process = None

    def start(self):
        arguments = ["--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--shards", "1"]
        arguments += ["--memory", "128MiB", "--journal", "16MiB"]
        if self.voters:
            arguments += ["--node-id", str(self.node), "--voters", self.voters]
        self.process = subprocess.Popen([self.klamm, "serve", *arguments], stderr=self.log)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Cluster:
    """Brokers of Klamm that belong together."""

    def __init__(self, klamm, directory, count, schema):
        self.klamm, self.schema = klamm, schema
        ports = [free_port() for _ in range(count)]
        voters = None
        if count > 1:
            voters = ",".join(f"{n}@127.0.0.1:{free_port()}" for n in range(1, count + 1))
        self.data = pathlib.Path(directory)
        self.data.mkdir()
        self.brokers = [
            Broker(klamm, self.data / str(n), n, port, voters).start() for n, port in enumerate(ports, 1)
        ]
        for it in self.brokers:
            listening(it.port, it.process, it.log.name)
        if count > 1:
            self.wait("brokers", lambda: len(self.tool("kafka-cluster", "list-endpoints").splitlines()) == count + 1)

    @property
    def address(self):
        return ",".join(f"127.0.0.1:{it.port}" for it in self.brokers)

    def tool(self, name, *arguments):
        command = [self.klamm, name, *arguments, "--bootstrap-server", self.address]
        return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout

    def wait(self, what, done):
        for _ in range(600):
            if done():
                return
            time.sleep(0.2)
        fail(f"the cluster does not come to rest ({what}), see {self.data}")

    def settle(self):
        self.wait("reassignments", lambda: "No partition" in self.tool("kafka-reassign-partitions", "--list"))
        lacking = ("kafka-topics", "--describe", "--under-replicated-partitions")
        self.wait("replicas", lambda: not self.tool(*lacking).strip())

    def do(self, what, *which):
        """A line with ! in front."""
        if what == "settle":
            self.settle()
            return
        if what == "transaction":
            self.begin_transaction(*which)
            return
        if what == "share-member":
            self.share_member(*which)
            return
        if what == "streams-member":
            self.streams_member(*which)
            return
        it = self.brokers[int(which[0]) - 1]
        if what == "stop":
            it.stop()
            self.wait("the stop", lambda: len(self.tool("kafka-cluster", "list-endpoints").splitlines()) == 3)
        else:
            it.start()
            self.wait("the start", lambda: len(self.tool("kafka-cluster", "list-endpoints").splitlines()) == 4)

    def begin_transaction(self, transactional_id, topic, partition):
        """Leaves a transaction open that has one record, at the only broker."""
        connection = Connection(self.brokers[0].port)

        def ask(name, version, body):
            connection.send(self.schema.request(name, version, 0, body))
            return self.schema.response(name, version, connection.receive()[4:])

        def accepted(body):
            return self.wait("a producer", lambda: self.producer(ask, body))

        accepted({"TransactionalId": transactional_id, "TransactionTimeoutMs": 600000})
        producer, epoch, at = self.found["ProducerId"], self.found["ProducerEpoch"], int(partition)
        names = {"V3AndBelowTransactionalId": transactional_id, "V3AndBelowProducerId": producer,
                 "V3AndBelowProducerEpoch": epoch, "V3AndBelowTopics": [{"Name": topic, "Partitions": [at]}]}
        added = ask("AddPartitionsToTxn", 3, names)["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]
        records = batch((b"one",), producer=producer, epoch=epoch, sequence=0, attributes=16)
        data = [{"Name": topic, "PartitionData": [{"Index": at, "Records": records}]}]
        body = {"TransactionalId": transactional_id, "Acks": -1, "TimeoutMs": 30000, "TopicData": data}
        produced = ask("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]
        connection.close()
        if added["PartitionErrorCode"] or produced["ErrorCode"]:
            fail(f"no transaction begins: {added} {produced}")

    def share_member(self, group, topic, leaves=""):
        """A member of a share group has a topic's partitions, or leaves."""
        member = {"GroupId": group, "SubscribedTopicNames": None}
        self.member("ShareGroupHeartbeat", 1, member, {"SubscribedTopicNames": [topic]}, leaves,
                    given=lambda found: (found["Assignment"] or {}).get("TopicPartitions"))

    def streams_member(self, group, topic, leaves=""):
        """A member of a streams group that reads a topic has its tasks, or leaves."""
        parts = {"SubtopologyId": "0", "SourceTopics": [topic], "SourceTopicRegex": [], "StateChangelogTopics": [],
                 "RepartitionSinkTopics": [], "RepartitionSourceTopics": [], "CopartitionGroups": []}
        member = {"GroupId": group, "EndpointInformationEpoch": 0,
                  "InstanceId": None, "RackId": None, "RebalanceTimeoutMs": -1, "Topology": None, "ActiveTasks": None,
                  "StandbyTasks": None, "WarmupTasks": None, "ProcessId": None, "UserEndpoint": None,
                  "ClientTags": None, "TaskOffsets": None, "TaskEndOffsets": None, "ShutdownApplication": False}
        none = {"ActiveTasks": [], "StandbyTasks": [], "WarmupTasks": []}
        joins = {"Topology": {"Epoch": 0, "Subtopologies": [parts]}, "RebalanceTimeoutMs": 60000, "ProcessId": "p",
                 "ClientTags": [], **none}
        self.member("StreamsGroupHeartbeat", 0, member, joins, leaves, given=lambda found: found["ActiveTasks"],
                    has=lambda tasks: {**none, "ActiveTasks": tasks})

    def member(self, api, version, member, joins, leaves, given, has=None):
        """A member of a group joins and waits until it is given something, which it then says that it has; or it leaves."""
        connection = Connection(self.brokers[0].port)
        member = {**member, "MemberId": "AAAAAAAAAAAAAAAAAAAAAQ"}
        found = {}

        def beat(epoch, **more):
            connection.send(self.schema.request(api, version, 0, {**member, "MemberEpoch": epoch, **more}))
            found.update(self.schema.response(api, version, connection.receive()[4:]))
            return found["ErrorCode"] == 0

        if leaves:
            self.wait("a leave", lambda: beat(-1))
        else:
            self.wait("a member", lambda: beat(0, **joins))
            if not given(found):
                self.wait("what it is given", lambda: beat(found["MemberEpoch"]) and given(found))
            if has:
                beat(found["MemberEpoch"], **has(given(found)))
        connection.close()

    def producer(self, ask, body):
        """Whether a coordinator gives a producer id."""
        where = {"KeyType": 1, "CoordinatorKeys": [body["TransactionalId"]]}
        if ask("FindCoordinator", 4, where)["Coordinators"][0]["ErrorCode"]:
            return False
        self.found = ask("InitProducerId", 4, body)
        return self.found["ErrorCode"] == 0

    def stop(self):
        for it in self.brokers:
            if it.process.poll() is None:
                it.stop()


def normal(text, cluster):
    """Without what differs from run to run."""
    text = text.replace(cluster.address, "ADDRESSES")
    for it in cluster.brokers:
        text = text.replace(f"127.0.0.1:{it.port}", f"ADDRESS{it.node}").replace(str(it.data), f"DATA{it.node}")
        text = re.sub(rf"\b{it.port}\b", f"PORT{it.node}", text)
    # Java prints a set of two, in the order of the day.
    text = text.replace("[[config], [bootstrap-server]]", "[[bootstrap-server], [config]]")
    text = text.replace("options: [topic], [group]", "options: [group], [topic]")
    text = re.sub(r"Local controller \d+", "Local controller N", text)
    text = re.sub(r"(Cluster ID: |ClusterId: +)\S+", r"\1ID", text)
    text = re.sub(r'("directoryId": |voter key \(|directory id )"?[\w-]{22}"?', r"\1ID", text)
    # The quorum goes on while it is looked at, and another node may lead it. Lists of nodes stay.
    if text.startswith("ClusterId:"):
        text = re.sub(r"((?:LeaderId|LeaderEpoch|HighWatermark|MaxFollowerLag\w*): +)-?\d+", r"\1N", text)
        text = re.sub(r"//\S+?:\d+", "//PEER", text)
    # So do the times of transactions, and each cluster has producer ids of its own.
    head = text.split("\n", 1)[0].rstrip("\t").split("\t")
    if "ProducerId" in [name.strip() for name in head]:
        own = [i for i, name in enumerate(head) if re.search(r"ProducerId|Time|Duration", name) and "Timeout" not in name]
        rows = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines()]
        for row in rows[1:]:
            for i in own:
                row[i] = "N" if row[i].isdigit() else row[i]
        text = "\n".join("|".join(row) for row in rows)
    text = re.sub(r"producerId=\d+", "producerId=N", text)
    if text.startswith("NodeId"):
        rows = [line.split("\t") for line in text.splitlines()]
        text = "\n".join("|".join([str(len(row)), row[-2].strip()]) for row in rows)
    # argparse4j fills lines with blanks, and breaks the longer ones.
    error = re.search(r"^usage:.*^(kafka-[\w.-]+: +error: .*)", text, re.S | re.M)
    if error:
        text = " ".join(error[1].replace("--\n", "--").split()).replace("- ", "-")
        # What else may have been meant is not guessed here.
        text = re.sub(r" Did you mean: .*", "", text)
    return re.sub(r"TopicId: \S{22}", "TopicId: ID", text)


def output(text, broker):
    """Lines of the standard output; the order is that of Java's hash tables, so it is sorted away,
    as is that of the partitions in the JSON of kafka-log-dirs."""
    lines = normal(text, broker).splitlines()
    # A stack trace ends with a line of its own.
    if any(line.startswith("Error: ") for line in lines):
        lines = [line for line in lines if line]
    for i, line in enumerate(lines):
        # Sizes are those of two brokers; an error's text, where it is not the broker's, is Java's.
        line = re.sub(r'"size":\d+', '"size":N', line)
        line = re.sub(r"(\terror: \S+Exception): .*", r"\1", line)
        partitions = re.findall(r'\{"partition":.*?\}', line)
        for partition in partitions:
            line = line.replace(partition, "{}", 1)
        line += "".join(sorted(partitions))
        # Names of partitions and brokers come out of hash sets.
        for before, names in re.findall(r"(for partitions |on brokers |on topics )(\S+(?:, \S+)*)", line):
            line = line.replace(before + names, before + ",".join(sorted(names.replace(" ", "").split(","))))
        if line.startswith("usage: "):
            lines[i] = "usage"
            return lines[: i + 1]
        lines[i] = line
    # A proposal is drawn by lot.
    if "Proposed partition reassignment configuration" in lines:
        lines = lines[: lines.index("Proposed partition reassignment configuration")]
    return sorted(line for line in lines if not re.match(r"\tat |\t\.\.\. |Caused by: |(org|java)\.[\w.]+Exception", line))


def messages(text, broker):
    """What the standard error output says: no stack traces, no exception's class in front of a
    message that was already said, no list of options after "wrong usage"."""
    said = []
    for line in normal(text, broker).splitlines():
        line = line.removeprefix("java.util.concurrent.ExecutionException: ").rstrip()
        if line.startswith("Option  "):
            break
        trace = line.startswith(("\tat ", "\t... ", "\tSuppressed: ", "Caused by: "))
        java = re.match(r"(java|joptsimple|com|org)\.[\w.$]+(Exception|Error)?: (.*)", line)
        repeated = java and (java[3] in said or line in said or not line.startswith("org.apache.kafka.common.errors"))
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


def compare(options, klamm, java, directory, count, commands, schema):
    """Runs a list of commands against two clusters of so many brokers: how many, and how many differ."""
    ours, theirs = (Cluster(klamm, directory / f"{name}-{count}", count, schema) for name in ("ours", "theirs"))
    different = total = 0
    try:
        for line in commands.strip().splitlines():
            if line.startswith("!"):
                for cluster in (ours, theirs):
                    cluster.do(*line[1:].split())
                continue
            line, _, typed = line.partition(" << ")
            typed = typed.encode().decode("unicode_escape")
            words = {}
            for cluster in (ours, theirs):
                b = f"--bootstrap-server {cluster.address}"
                text = line.replace("{b}", b).replace("{address}", cluster.address)
                words[cluster] = shlex.split(text.replace("{dir}", str(directory)))
            tool = words[ours][0]
            # What changes something is needed by what follows.
            if options.only not in line and not re.search("--create|--alter|--execute", line):
                continue
            total += 1
            got = run([klamm, *words[ours]], ours, typed)
            want = run([*java, CLASSES[tool], *words[theirs][1:]], theirs, typed)
            if got != want:
                different += 1
                print(f"DIFFERS  {line}")
                for change in difflib.unified_diff(want, got, "Kafka", "Klamm", lineterm="", n=1):
                    print(f"    {change}", flush=True)
            elif options.verbose:
                print(f"same     {line}")
                for said in got:
                    print(f"    {said}")
    finally:
        ours.stop()
        theirs.stop()
    return total, different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klamm", default=ROOT / "target" / "debug" / "klamm", type=pathlib.Path)
    parser.add_argument("--libs", default=os.environ.get("KAFKA_LIBS"))
    parser.add_argument("--only", default="", help="only commands that contain this")
    parser.add_argument("--brokers", default="both", choices=("one", "three", "both"), help="which of the lists")
    parser.add_argument("--verbose", action="store_true", help="show every command and its output")
    options = parser.parse_args()
    klamm = options.klamm.resolve()
    if not klamm.is_file():
        fail(f"{klamm} does not exist: cargo build, or --klamm PROGRAM")
    jars = libs(options.libs)
    java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", f"{jars}/*"]

    schema = Schema(next(pathlib.Path(jars).glob("kafka-clients-*.jar")))
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
        directory = pathlib.Path(directory)
        for name, text in FILES.items():
            (directory / name).write_text(text)
        total = different = 0
        for name, count, commands in (("one", 1, COMMANDS), ("three", 3, CLUSTER_COMMANDS)):
            if options.brokers in (name, "both"):
                done = compare(options, klamm, java, directory, count, commands, schema)
                total, different = total + done[0], different + done[1]
    print(f"{total} commands, {total - different} the same, {different} different")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
