"""A consumer of librdkafka: `group_member.py BOOTSTRAP GROUP TOPIC CONFIG`, the last in JSON. Prints what it is assigned
(JSON) whenever that changes, and TOPIC PARTITION OFFSET of each record. Ends on SIGTERM, and leaves its group."""

import json
import signal
import sys

from confluent_kafka import Consumer

bootstrap, group, topic, config = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0,
                     "auto.commit.interval.ms": 500, **json.loads(config)})
mine, ending = set(), False


def changed(gains, is_told=None):
    def callback(consumer, partitions):
        named = {(p.topic, p.partition) for p in partitions}
        mine.update(named) if gains else mine.difference_update(named)
        if is_told:
            is_told(consumer, partitions)
        print(json.dumps(sorted(mine)), flush=True)
    return callback


def end(*_):
    global ending
    ending = True


signal.signal(signal.SIGTERM, end)
consumer.subscribe([topic], on_assign=changed(True, Consumer.incremental_assign), on_revoke=changed(False, Consumer.incremental_unassign),
                   on_lost=changed(False))
while not ending:
    message = consumer.poll(0.1)
    # Errors are of brokers that are away for a while.
    if message is not None and not message.error():
        print(message.topic(), message.partition(), message.offset(), flush=True)
consumer.close()
