#!/usr/bin/env python3
"""Compares Klamm's console producer and consumer, the tools of groups and the performance tests with
Apache Kafka's, command by command, as kafka-tools.py does for the other tools, whose options it has:

  tests/conformance/kafka-client-tools.py [--klamm PROGRAM] [--libs DIR] [--only WORD] [--verbose]

Lines after «<<» are typed into the tool. Besides what kafka-tools.py takes out: lines of log (Kafka's
tools run without a log here), and what a tool says to advertise another protocol.
"""

import importlib.util
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("kafka_tools", HERE / "kafka-tools.py")
tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tools)

tools.CLASSES.update({
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-streams-groups": "org.apache.kafka.tools.streams.StreamsGroupCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
})

tools.FILES.update({
    "one.csv": "k,0,1\n",
    "groups.csv": "g,k,0,2\n",
    "consumer.properties": "group.id=g\nauto.offset.reset=earliest\n",
})

# Those that change something, --create and --alter, run with every --only; so do these.
COMMANDS = r"""
kafka-topics {b} --create --topic k --partitions 1
kafka-topics {b} --create --topic w --partitions 3
kafka-console-producer
kafka-console-producer {b}
kafka-console-producer --topic k
kafka-console-producer --topic k --bootstrap-server foo
kafka-console-producer {b} --topic k --foo
kafka-console-producer {b} --topic k --property a=b --reader-property a=b
kafka-console-producer {b} --topic k << one\ntwo\n\nfour
kafka-console-producer {b} --topic k --property parse.key=true --property key.separator=: << a:1\nb:2\n
kafka-console-producer {b} --topic k --reader-property parse.key=true << nokey
kafka-console-producer {b} --topic k --reader-property headers.separator=: << a
kafka-console-producer {b} --topic k --reader-property parse.headers=true << h:1,i:2\tv
kafka-console-producer {b} --topic k --reader-property parse.headers=true --reader-property null.marker=N << N\tN
kafka-console-producer {b} --topic k --compression-codec --sync << gzip
kafka-console-producer {b} --topic k --batch-size x << a
kafka-console-producer {b} --topic k --max-partition-memory-bytes 100 --request-required-acks 1 << acks
kafka-console-producer {b} --topic k --producer-property linger.ms=1 << old
kafka-console-consumer
kafka-console-consumer {b}
kafka-console-consumer --topic k
kafka-console-consumer {b} --topic k --include k
kafka-console-consumer {b} --topic k --offset 3
kafka-console-consumer {b} --include k --partition 0
kafka-console-consumer {b} --topic k --partition 0 --offset -3
kafka-console-consumer {b} --topic k --partition 0 --offset 1 --from-beginning
kafka-console-consumer {b} --topic k --partition 0 --group g
kafka-console-consumer {b} --topic k --group g --command-property group.id=h
kafka-console-consumer {b} --topic k --from-beginning --command-property auto.offset.reset=latest
kafka-console-consumer {b} --topic k --formatter foo
kafka-console-consumer {b} --topic k --property a=b --formatter-property a=b
kafka-console-consumer {b} --topic k --from-beginning --max-messages 11
kafka-console-consumer {b} --topic k --partition 0 --offset earliest --max-messages 11 --formatter-property print.key=true --formatter-property print.offset=true --formatter-property print.partition=true --formatter-property print.headers=true --formatter-property null.literal=-
kafka-console-consumer {b} --topic k --partition 0 --offset 4 --max-messages 2 --property print.key=true --property key.separator== --property line.separator=;
kafka-console-consumer {b} --topic k --partition 0 --offset 4 --max-messages 2 --formatter-property print.value=false --formatter-property print.key=true
kafka-console-consumer {b} --topic k --from-beginning --max-messages 2 --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter
kafka-console-consumer {b} --topic k --from-beginning --max-messages 1 --value-deserializer org.apache.kafka.common.serialization.LongDeserializer
kafka-console-consumer {b} --include 'k|w' --from-beginning --max-messages 11
kafka-console-consumer {b} --topic k --group g --from-beginning --max-messages 3 --enable-systest-events
kafka-console-consumer {b} --topic k --group g --max-messages 2
kafka-console-consumer {b} --topic k --command-config {dir}/consumer.properties --max-messages 1
kafka-consumer-groups
kafka-consumer-groups {b}
kafka-consumer-groups --list
kafka-consumer-groups {b} --list --describe
kafka-consumer-groups {b} --describe
kafka-consumer-groups {b} --describe --group g
kafka-consumer-groups {b} --describe --group g --members
kafka-consumer-groups {b} --describe --group g --members --verbose
kafka-consumer-groups {b} --describe --group g --state
kafka-consumer-groups {b} --describe --group g --state --verbose
kafka-consumer-groups {b} --describe --group g --offsets --members
kafka-consumer-groups {b} --describe --group g --state Stable
kafka-consumer-groups {b} --describe --group nope
kafka-consumer-groups {b} --list --state foo
kafka-consumer-groups {b} --list --type foo
kafka-consumer-groups {b} --group g --list
kafka-consumer-groups {b} --reset-offsets --group g
kafka-consumer-groups {b} --reset-offsets --group g --topic k
kafka-consumer-groups {b} --reset-offsets --group g --to-earliest
kafka-consumer-groups {b} --reset-offsets --group g --to-earliest --to-latest --topic k
kafka-consumer-groups {b} --reset-offsets --group g --to-earliest --topic k --dry-run --execute
kafka-consumer-groups {b} --reset-offsets --group g --to-earliest --topic k
kafka-consumer-groups {b} --reset-offsets --group g --to-latest --topic k --topic w:0,2 --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-current --topic k --topic w --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-offset 77 --topic k --dry-run --export
kafka-consumer-groups {b} --reset-offsets --group g --shift-by -2 --all-topics --execute
kafka-consumer-groups {b} --describe --group g --verbose
kafka-consumer-groups {b} --reset-offsets --group g --shift-by -2 --topic w --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --by-duration PT1H --topic k --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-datetime 2020-01-01T00:00:00.000 --topic k --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-datetime 2999-01-01T00:00:00.000 --topic k --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --from-file {dir}/one.csv --execute
kafka-consumer-groups {b} --reset-offsets --group g --from-file {dir}/groups.csv --dry-run
kafka-consumer-groups {b} --reset-offsets --group h --from-file {dir}/groups.csv --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-offset 1 --topic k:9 --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-offset 1 --topic k:x --dry-run
kafka-consumer-groups {b} --reset-offsets --group g --to-offset 1 --topic nope --dry-run
kafka-consumer-groups {b} --reset-offsets --group new --to-latest --topic w --execute
kafka-consumer-groups {b} --describe --group new --group g
kafka-consumer-groups {b} --delete-offsets --group new --topic w:0,1
kafka-consumer-groups {b} --delete-offsets --group new --topic w:77
kafka-consumer-groups {b} --delete-offsets --group new --topic w --topic nope
kafka-consumer-groups {b} --delete-offsets --group new
kafka-consumer-groups {b} --delete-offsets --group nope --topic w
kafka-consumer-groups {b} --delete --group new
kafka-consumer-groups {b} --delete --group new --group g
kafka-consumer-groups {b} --delete --group g --topic t
kafka-consumer-groups {b} --validate-regex 'a.*b'
kafka-share-groups
kafka-share-groups --list
kafka-share-groups --help
kafka-share-groups {b}
kafka-share-groups {b} --list
kafka-share-groups {b} --list --describe
kafka-share-groups {b} --list --members
kafka-share-groups {b} --list --group s
kafka-share-groups {b} --list --topic k
kafka-share-groups {b} --list --state foo
kafka-share-groups {b} --describe
kafka-share-groups {b} --describe --group nope
kafka-share-groups {b} --describe --group g
kafka-share-groups {b} --describe --group s --members --offsets
kafka-share-groups {b} --describe --group s --state Stable
kafka-share-groups {b} --describe --group s --all-groups
kafka-share-groups {b} --delete
kafka-share-groups {b} --delete --group s --all-groups
kafka-share-groups {b} --delete --group s --topic k
kafka-share-groups {b} --delete-offsets --group s
kafka-share-groups {b} --delete-offsets --group nope --topic k --topic w
kafka-share-groups {b} --reset-offsets --group s --topic k --to-latest
kafka-share-groups {b} --reset-offsets --group s --topic k --to-latest --execute --dry-run
kafka-share-groups {b} --reset-offsets --topic k --to-latest --execute
kafka-share-groups {b} --reset-offsets --group s --to-latest --execute
kafka-share-groups {b} --reset-offsets --group s --topic k --execute
kafka-share-groups {b} --reset-offsets --group s --topic k --to-latest --to-earliest --execute
kafka-share-groups {b} --reset-offsets --group nope --topic k --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group nope --all-topics --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group nope --topic k --to-latest --execute
!share-member s w
kafka-share-groups {b} --list
kafka-share-groups {b} --list --state
kafka-share-groups {b} --list --state stable,empty
kafka-share-groups {b} --describe --group s
kafka-share-groups {b} --describe --group s --verbose
kafka-share-groups {b} --describe --group s --members
kafka-share-groups {b} --describe --group s --members --verbose
kafka-share-groups {b} --describe --group s --state
kafka-share-groups {b} --describe --group s --state --verbose
kafka-share-groups {b} --delete --group s --group nope
kafka-share-groups {b} --delete-offsets --group s --topic w
kafka-share-groups {b} --reset-offsets --group s --topic w --to-latest --execute
!share-member s w leaves
kafka-share-groups {b} --list --state Empty
kafka-share-groups {b} --reset-offsets --group s --topic w --topic k --to-earliest --execute
kafka-share-groups {b} --describe --group s --offsets --verbose
kafka-share-groups {b} --reset-offsets --group s --topic w:0,2 --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group s --topic w:x --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group s --topic w:9 --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group s --topic nope --to-latest --dry-run
kafka-share-groups {b} --reset-offsets --group s --all-topics --to-datetime 2020-01-01T00:00:00.000 --execute
kafka-share-groups {b} --reset-offsets --group s --all-topics --to-datetime 2999-01-01T00:00:00.000 --dry-run
kafka-share-groups {b} --describe --all-groups
kafka-share-groups {b} --describe --group s --members
kafka-share-groups {b} --describe --group s --state
kafka-share-groups {b} --delete-offsets --group s --topic w --topic nope
kafka-share-groups {b} --delete-offsets --group s --topic k
kafka-share-groups {b} --describe --group s
kafka-share-groups {b} --delete --group s
kafka-share-groups {b} --delete --group s
kafka-streams-groups
kafka-streams-groups --list
kafka-streams-groups --help
kafka-streams-groups {b}
kafka-streams-groups {b} --list
kafka-streams-groups {b} --list --describe
kafka-streams-groups {b} --list --group x
kafka-streams-groups {b} --list --members
kafka-streams-groups {b} --list --state foo
kafka-streams-groups {b} --list --dry-run
kafka-streams-groups {b} --describe
kafka-streams-groups {b} --describe --group nope
kafka-streams-groups {b} --describe --group g
kafka-streams-groups {b} --describe --group x --members --state
kafka-streams-groups {b} --describe --group x --state Stable
kafka-streams-groups {b} --describe --group x --input-topic k
kafka-streams-groups {b} --delete
kafka-streams-groups {b} --delete --group x --input-topic k
kafka-streams-groups {b} --delete --group nope
kafka-streams-groups {b} --delete-offsets --group x
kafka-streams-groups {b} --delete-offsets --group x --group y --input-topic k
kafka-streams-groups {b} --delete-offsets --group nope --input-topic k
kafka-streams-groups {b} --list --delete-all-internal-topics
kafka-streams-groups {b} --list --delete-internal-topic k
kafka-streams-groups {b} --reset-offsets --group x --to-latest --input-topic k
kafka-streams-groups {b} --reset-offsets --group x --to-latest --input-topic k --dry-run --execute
kafka-streams-groups {b} --reset-offsets --to-latest --input-topic k --dry-run
kafka-streams-groups {b} --reset-offsets --group x --to-latest --to-earliest --input-topic k --dry-run
kafka-streams-groups {b} --reset-offsets --group x --to-latest --input-topic k --dry-run --delete-all-internal-topics
!streams-member x w
kafka-streams-groups {b} --list
kafka-streams-groups {b} --list --state
kafka-streams-groups {b} --list --state stable,notready
kafka-streams-groups {b} --describe --group x
kafka-streams-groups {b} --describe --group x --verbose
kafka-streams-groups {b} --describe --group x --members
kafka-streams-groups {b} --describe --group x --members --verbose
kafka-streams-groups {b} --describe --group x --state
kafka-streams-groups {b} --describe --group x --state --verbose
kafka-streams-groups {b} --delete --group x --group nope
kafka-streams-groups {b} --reset-offsets --group x --to-latest --input-topic w --execute
!streams-member x w leaves
kafka-streams-groups {b} --reset-offsets --group x --to-latest --input-topic w --execute
kafka-streams-groups {b} --reset-offsets --group x --to-latest --dry-run
kafka-streams-groups {b} --reset-offsets --group x --to-offset 2 --all-input-topics --dry-run
kafka-streams-groups {b} --reset-offsets --group x --all-input-topics --dry-run
kafka-streams-groups {b} --describe --all-groups --offsets
kafka-streams-groups {b} --describe --group x --members
kafka-streams-groups {b} --describe --group x --state
kafka-streams-groups {b} --delete-offsets --group x --all-input-topics
kafka-streams-groups {b} --delete-offsets --group x --input-topic w --input-topic nope
kafka-streams-groups {b} --delete --group x --delete-all-internal-topics
kafka-streams-groups {b} --delete --group x
kafka-producer-perf-test {b} --topic w --num-records 1000 --record-size 10 --throughput -1
kafka-producer-perf-test --topic w --throughput -1
kafka-producer-perf-test {b} --topic w --num-records 10 --throughput -1 --payload-monotonic --record-size 1
kafka-consumer-perf-test {b} --topic w --num-records 1000
kafka-consumer-perf-test {b} --topic w --messages 2000 --timeout 500 --hide-header
kafka-consumer-perf-test {b} --topic w
"""

log = re.compile(r"(WARN|ERROR|INFO) |org\.apache\.kafka\.\S+Exception|The consumer rebalance protocol")
figure = re.compile(r"-?\d+(\.\d+)?|-?(Infinity|NaN|∞)")
instant = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}")


def comparable(said, perf):
    """Without the log; of a performance test without its figures."""
    lines = []
    for line in said:
        channel, _, text = line.partition(": ")
        if channel == "err" and log.match(text):
            continue
        if perf and channel == "out" and not text.startswith("Warning"):
            line = figure.sub("N", instant.sub("TIME", line))
        if perf and channel == "err" and (text.startswith((" ", "usage")) or "error" in text or "--" in text):
            # argparse4j breaks lines by the width of the terminal.
            continue
        if text.startswith(" at [Source"):
            continue
        # Java prints sets in the order of the day.
        line = re.sub(r"\[(\[[\w-]+\](, )?)+\]", lambda m: str(sorted(m[0][1:-1].split(", "))), line)
        line = re.sub(r"(Valid \w+ are: )(.*)", lambda m: m[1] + str(sorted(m[2].split(", "))), line)
        lines.append(line)
    return lines


plain_run, plain_messages = tools.run, tools.messages


def messages(text, broker):
    """Of Kafka's own exceptions the message counts, and of those of its parser that nobody catches."""
    own = r'(?m)^(org\.apache\.kafka\.common\.KafkaException|Exception in thread "main" joptsimple\.\w+): '
    return plain_messages(re.sub(own, "", text), broker)


def run(command, broker, typed=""):
    perf = any("perf-test" in str(word) or str(word).endswith("Performance") for word in command)
    return comparable(plain_run(command, broker, typed), perf)


if __name__ == "__main__":
    tools.COMMANDS = COMMANDS
    tools.run, tools.messages = run, messages
    tools.main()
