"""A faust-streaming application: `faust_app.py BOOTSTRAP INPUT OUTPUT DIRECTORY PORT REPLICAS`. Each value followed by how many
of its key came so far, which a table with a changelog topic keeps in memory. Ends on SIGTERM."""

import sys

import faust

bootstrap, source, target, directory, port, replicas = sys.argv[1:]
app = faust.App("eco-faust", broker=f"kafka://{bootstrap.replace(',', ';kafka://')}", store="memory://", datadir=directory,
                web_port=int(port), web_bind="127.0.0.1", topic_partitions=4, topic_replication_factor=int(replicas),
                broker_session_timeout=6.0, broker_heartbeat_interval=1.5, broker_commit_interval=0.5,
                consumer_auto_offset_reset="earliest", table_cleanup_interval=30.0)
lines = app.topic(source, key_type=str, value_type=str, key_serializer="raw", value_serializer="raw")
results = app.topic(target, key_type=str, value_type=str, key_serializer="raw", value_serializer="raw")
counts = app.Table("counts", default=int, partitions=4)


@app.agent(lines)
async def count(stream):
    async for key, value in stream.items():
        counts[key] += 1
        await results.send(key=key, value=f"{value}:{counts[key]}")


if __name__ == "__main__":
    sys.argv = ["faust", "worker", "--loglevel=info", f"--web-port={port}", "--web-bind=127.0.0.1"]
    app.main()
