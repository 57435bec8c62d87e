"""A quixstreams application: `quix_app.py BOOTSTRAP INPUT OUTPUT STATE_DIR`. Each value followed by how many of its
key came so far, which a state store keeps, exactly once. Ends on SIGTERM."""

import sys

from quixstreams import Application


def count(value, state):
    seen = state.get("seen", 0) + 1
    state.set("seen", seen)
    return f"{value}:{seen}"


bootstrap, source, target, state_dir = sys.argv[1:]
session = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500}
app = Application(broker_address=bootstrap, consumer_group="eco-quix", auto_offset_reset="earliest", state_dir=state_dir,
                  processing_guarantee="exactly-once", commit_interval=0.5, consumer_extra_config=session,
                  producer_extra_config={"transaction.timeout.ms": 10000})
frame = app.dataframe(app.topic(source, key_deserializer="str", value_deserializer="str"))
frame = frame.apply(count, stateful=True)
frame.to_topic(app.topic(target, key_serializer="str", value_serializer="str"))
app.run()
