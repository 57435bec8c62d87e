"""The requests that are sent to both brokers, good and bad, in the order in which they are sent.

`cases(schema, versions)` yields `(label, API, version, body)`. A body is a dictionary, bytes, or a
function that gets what was remembered of earlier responses (topic ids, session ids).
"""

import base64
import gzip
import struct
import time

from schema import ZERO

NOW = int(time.time() * 1000)
# The id of no topic.
MISSING = "00000000-0000-0000-0000-0000000000ff"
SHARE_MEMBER = base64.urlsafe_b64encode(b"klammsharemember").decode().rstrip("=")


def crc32c(data, table=[]):
    if not table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(v):
    v = v << 1 ^ v >> 63
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    return bytes(out) + bytes([v])


def batch(values=(b"one", b"two"), time_ms=NOW, producer=-1, epoch=-1, sequence=-1, attributes=0,
          count=None, last=None, magic=2, spoil=False, max_time=None):
    records = b""
    for i, value in enumerate(values):
        body = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    if attributes & 7 == 1:
        records = gzip.compress(records, mtime=0)
    last = len(values) - 1 if last is None else last
    count = len(values) if count is None else count
    covered = struct.pack(">hiqqqhii", attributes, last, time_ms, time_ms if max_time is None else max_time,
                          producer, epoch, sequence, count) + records
    crc = crc32c(covered) ^ (1 if spoil else 0)
    return struct.pack(">qiibI", 0, 9 + len(covered), -1, magic, crc) + covered


def topic(name, partitions=1, replication=1, configs=None, assignments=None):
    return {
        "Name": name, "NumPartitions": partitions, "ReplicationFactor": replication,
        "Assignments": assignments or [],
        "Configs": [{"Name": k, "Value": v} for k, v in (configs or {}).items()],
    }


def create(*topics, validate=False):
    return {"Topics": list(topics), "timeoutMs": 30000, "validateOnly": validate}


def groups(versions, last):
    """Consumer groups: each version has its own, on a topic with ids."""
    yield ("a topic for groups", "CreateTopics", last, create(topic("grouped", 3)))
    yield ("its id", "Metadata", 12, {"Topics": [{"TopicId": ZERO, "Name": "grouped"}]})
    for v in versions("FindCoordinator"):
        for label, key, kind in [("a group", "g", 0), ("no name", "", 0)]:
            yield (label, "FindCoordinator", v, {"Key": key, "KeyType": kind} if v < 4 else {"KeyType": kind, "CoordinatorKeys": [key]})
        if v >= 4:
            yield ("several", "FindCoordinator", v, {"KeyType": 0, "CoordinatorKeys": ["a", "b", "a"]})
            yield ("none", "FindCoordinator", v, {"KeyType": 0, "CoordinatorKeys": []})

    def join(v, group, member="", **more):
        body = {"GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": member,
                "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"m"}], **more}
        return ("JoinGroup", v, body)

    for v in versions("JoinGroup"):
        g = f"join-{v}"
        for label, more in [
            ("no group", {"GroupId": ""}), ("a session too short", {"SessionTimeoutMs": 5999}),
            ("a session too long", {"SessionTimeoutMs": 1800001}), ("a stranger", {"MemberId": "nobody"}),
            ("no protocols", {"Protocols": []}), ("no protocol type", {"ProtocolType": ""}),
        ]:
            yield (label, *join(v, g + "-bad", **more))
        yield ("someone new", *join(v, g))
        yield ("with its id", "JoinGroup", v, lambda seen, v=v, g=g: join(v, g, seen["MemberId"])[2])
        yield ("with another protocol type", "JoinGroup", v, lambda seen, v=v, g=g: join(v, g, seen["MemberId"], ProtocolType="connect")[2])
        if v >= 5:
            yield ("a static member", *join(v, g + "-static", GroupInstanceId="one"))
            yield ("it again", *join(v, g + "-static", GroupInstanceId="one"))
            yield ("its name and a stranger's id", *join(v, g + "-static", "nobody", GroupInstanceId="one"))
            yield ("an unknown name", *join(v, g + "-static", "nobody", GroupInstanceId="two"))

    joined = max(versions("JoinGroup"))
    for v in versions("SyncGroup"):
        g = f"sync-{v}"
        named = {"ProtocolType": "consumer", "ProtocolName": "range"} if v >= 5 else {}
        sync = lambda label, generation=None, member=None, group=g, **more: (label, "SyncGroup", v, lambda seen: {
            "GroupId": group, "GenerationId": seen["GenerationId"] if generation is None else generation,
            "MemberId": seen["MemberId"] if member is None else member,
            "Assignments": [{"MemberId": seen["MemberId"], "Assignment": b"mine"}], **named, **more})
        yield ("someone for a sync", *join(joined, g))
        yield ("it joins", "JoinGroup", joined, lambda seen, g=g: join(joined, g, seen["MemberId"])[2])
        yield sync("no group", group="")
        yield sync("an unknown group", group="none")
        yield sync("an old generation", generation=0)
        yield sync("a stranger", member="nobody")
        if v >= 5:
            yield sync("another protocol", ProtocolName="sticky")
            yield sync("another type", ProtocolType="connect")
            yield sync("no protocol", ProtocolName=None)
        yield sync("the leader")
        yield sync("the leader again")

    for v in versions("Heartbeat"):
        g = f"beat-{v}"
        beat = lambda label, generation=None, member=None, group=g, **more: (label, "Heartbeat", v, lambda seen: {
            "GroupId": group, "GenerationId": seen["GenerationId"] if generation is None else generation,
            "MemberId": seen["MemberId"] if member is None else member, **more})
        yield ("someone to beat", *join(joined, g))
        yield ("it joins", "JoinGroup", joined, lambda seen, g=g: join(joined, g, seen["MemberId"])[2])
        yield beat("before the sync")
        yield ("it syncs", "SyncGroup", 3, lambda seen, g=g: {"GroupId": g, "GenerationId": seen["GenerationId"], "MemberId": seen["MemberId"], "Assignments": [{"MemberId": seen["MemberId"], "Assignment": b"mine"}]})
        yield beat("after the sync")
        yield beat("an old generation", generation=0)
        yield beat("a stranger", member="nobody")
        yield beat("an unknown group", group="none")
        yield beat("no group", group="")
        if v >= 3:
            yield beat("a name that nobody has", GroupInstanceId="x")

    for v in versions("OffsetCommit"):
        g = f"commit-{v}"

        def commit(label, partitions=((0, 5, "m"),), group=g, generation=-1, member="", name="grouped", v=v, **more):
            parts = [{"PartitionIndex": p, "CommittedOffset": o, "CommittedLeaderEpoch": 0, "CommittedMetadata": m} for p, o, m in partitions]
            zero = "00000000-0000-0000-0000-0000000000ff"
            return (label, "OffsetCommit", v, lambda seen: {
                "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "RetentionTimeMs": -1,
                "Topics": [{"Name": name, "TopicId": seen.get(name, zero), "Partitions": parts}], **more})

        yield commit("outside of a group")
        yield commit("several", ((0, 7, None), (1, 8, ""), (3, 9, "x"), (-1, 9, "x")))
        yield commit("a negative offset", ((0, -7, ""),))
        yield commit("long metadata", ((0, 7, "x" * 4096), (1, 8, "x" * 4097)))
        yield commit("no such topic", name="missing-topic")
        yield commit("no topics", Topics=[])
        yield commit("no group", group="")
        yield commit("a generation of nothing", generation=3, member="nobody", group="none")
        yield commit("a member of nothing", member="nobody", group="none")
        yield ("someone who commits", *join(joined, g + "-m"))
        yield ("it joins", "JoinGroup", joined, lambda seen, g=g: join(joined, g + "-m", seen["MemberId"])[2])
        yield commit("by a stranger", group=g + "-m", generation=1, member="nobody")
        yield commit("from outside", group=g + "-m")
        inside = lambda label, generation, g=g, v=v: (label, "OffsetCommit", v, lambda seen: {
            "GroupId": g + "-m", "GenerationIdOrMemberEpoch": generation, "MemberId": seen["MemberId"], "RetentionTimeMs": -1,
            "Topics": [{"Name": "grouped", "TopicId": seen["grouped"], "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedLeaderEpoch": 0, "CommittedMetadata": ""}]}]})
        yield inside("during the rebalance", 1)
        yield ("it syncs", "SyncGroup", 3, lambda seen, g=g: {"GroupId": g + "-m", "GenerationId": seen["GenerationId"], "MemberId": seen["MemberId"], "Assignments": [{"MemberId": seen["MemberId"], "Assignment": b"mine"}]})
        yield inside("an old generation", 0)
        yield inside("a later generation", 2)
        yield inside("its generation", 1)

    for v in versions("OffsetFetch"):
        def fetch(label, group, topics, v=v, **more):
            def body(seen):
                zero = "00000000-0000-0000-0000-0000000000ff"
                asked = None if topics is None else [
                    {"Name": n, "TopicId": seen.get(n, zero), "PartitionIndexes": p} for n, p in topics]
                if v >= 8:
                    return {"Groups": [{"GroupId": group, "MemberId": None, "MemberEpoch": -1, "Topics": asked}], **more}
                return {"GroupId": group, "Topics": asked, **more}
            return (label, "OffsetFetch", v, body)

        yield fetch("some", "commit-9", [("grouped", [0, 1, 2, 7])])
        yield fetch("no such topic", "commit-9", [("missing-topic", [0])])
        yield fetch("no such group", "none", [("grouped", [0])])
        yield fetch("no topics", "commit-9", [])
        yield fetch("no group", "", [("grouped", [0])])
        yield fetch("with an epoch", "commit-9-m", [("grouped", [0])])
        if v >= 2:
            yield fetch("all", "commit-9", None)
            yield fetch("all of no group", "none", None)
        if v >= 7:
            yield fetch("stable ones", "commit-9", [("grouped", [0])], RequireStable=True)

    for v in versions("DescribeGroups"):
        for group in ["sync-3", "commit-9", "join-4", "none", ""]:
            yield (f"group {group}", "DescribeGroups", v, {"Groups": [group], "IncludeAuthorizedOperations": v >= 3})
        yield ("several", "DescribeGroups", v, {"Groups": ["none", "commit-9"]})
        yield ("none", "DescribeGroups", v, {"Groups": []})

    for v in versions("ListGroups"):
        yield ("all", "ListGroups", v, {})
        if v >= 4:
            for states in [["Stable"], ["empty"], ["nonsense"]]:
                yield (f"{states[0]} ones", "ListGroups", v, {"StatesFilter": states})
        if v >= 5:
            for types in [["classic"], ["Consumer"], ["nonsense"]]:
                yield (f"{types[0]} ones", "ListGroups", v, {"TypesFilter": types})

    for v in versions("OffsetDelete"):
        delete = lambda label, group, name, parts: (label, "OffsetDelete", v, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": p} for p in parts]}]})
        yield delete("some", "commit-8", "grouped", [0, 2, 7])
        yield delete("no such topic", "commit-8", "missing-topic", [0])
        yield delete("no such group", "none", "grouped", [0])
        yield delete("no group", "", "grouped", [0])
        yield delete("of a group with members", "commit-8-m", "grouped", [0])

    for v in versions("LeaveGroup"):
        g = f"leave-{v}"
        yield ("someone who leaves", *join(joined, g))
        yield ("it joins", "JoinGroup", joined, lambda seen, g=g: join(joined, g, seen["MemberId"])[2])
        gone = lambda label, member=None, group=g, v=v: (label, "LeaveGroup", v, lambda seen: {
            "GroupId": group, **({"MemberId": member or seen["MemberId"]} if v < 3 else {"Members": [{"MemberId": member or seen["MemberId"]}]})})
        yield gone("a stranger", "nobody")
        yield gone("of no group", group="")
        yield gone("of an unknown group", group="none")
        yield gone("the member")
        yield gone("it again")
        if v >= 3:
            yield ("nobody", "LeaveGroup", v, {"GroupId": g, "Members": []})
            yield ("by a name that nobody has", "LeaveGroup", v, {"GroupId": g, "Members": [{"MemberId": "", "GroupInstanceId": "x"}]})

    for v in versions("DeleteGroups"):
        drop = lambda label, *names, v=v: (label, "DeleteGroups", v, {"GroupsNames": list(names)})
        yield drop("one", f"commit-{v + 2}")
        yield drop("again", f"commit-{v + 2}")
        yield drop("one with members", "commit-9-m")
        yield drop("none")
        yield drop("no name", "")
        yield drop("one twice", f"commit-{v + 5}", f"commit-{v + 5}")

    yield ("to the topic of groups", "Produce", 9, {"TransactionalId": None, "Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "__consumer_offsets", "PartitionData": [{"Index": 0, "Records": batch()}]}]})
    yield ("from the topic of groups", "DeleteRecords", 2, {"Topics": [{"Name": "__consumer_offsets", "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}], "TimeoutMs": 1000})
    keys = ["cleanup.policy", "compression.type", "segment.bytes", "retention.ms"]
    yield ("the topic of groups", "DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": "__consumer_offsets", "ConfigurationKeys": keys}]})
    yield ("the topic of groups", "Metadata", 12, {"Topics": [{"TopicId": ZERO, "Name": "__consumer_offsets"}]})


def after(seconds, body):
    """A body that is sent later."""
    def sent(_):
        time.sleep(seconds)
        return body
    return sent


def streams_groups(versions):
    """Streams groups (KIP-1071): what members are refused and told, of topologies without internal topics."""
    yield ("for streams", "CreateTopics", 5, create(topic("streams-in", 2)))
    yield ("of streams groups", "FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": ["streams-a"]})
    info = lambda name, partitions: {"Name": name, "Partitions": partitions, "ReplicationFactor": 1, "TopicConfigs": []}

    def topology(epoch=0, sources=("streams-in",), regex=(), changelogs=()):
        return {"Epoch": epoch, "Subtopologies": [{
            "SubtopologyId": "0", "SourceTopics": list(sources), "SourceTopicRegex": list(regex),
            "StateChangelogTopics": [info(*it) for it in changelogs], "RepartitionSinkTopics": [], "RepartitionSourceTopics": [],
            "CopartitionGroups": []}]}

    def beat(epoch, group="streams-a", member="m1", **fields):
        return {
            "GroupId": group, "MemberId": member, "MemberEpoch": epoch, "EndpointInformationEpoch": 0, "InstanceId": None, "RackId": None,
            "RebalanceTimeoutMs": -1, "Topology": None, "ActiveTasks": None, "StandbyTasks": None, "WarmupTasks": None, "ProcessId": None,
            "UserEndpoint": None, "ClientTags": None, "TaskOffsets": None, "TaskEndOffsets": None, "ShutdownApplication": False} | fields

    def join(group="streams-a", member="m1", **fields):
        return beat(0, group, member, **{"RebalanceTimeoutMs": 60000, "Topology": topology(), "ActiveTasks": [], "StandbyTasks": [],
                                         "WarmupTasks": [], "ProcessId": f"p-{member}"} | fields)

    owned = lambda *partitions: {"ActiveTasks": [{"SubtopologyId": "0", "Partitions": list(partitions)}], "StandbyTasks": [],
                                 "WarmupTasks": []}
    for v in versions("StreamsGroupHeartbeat"):
        call = lambda label, body: (label, "StreamsGroupHeartbeat", v, body)
        yield call("to no group", beat(1))
        yield call("leaving no group", beat(-1))
        for label, fields in [
            ("no group", {"GroupId": ""}), ("no member", {"MemberId": ""}), ("an empty rack", {"RackId": ""}), ("an instance", {"InstanceId": "i"}),
            ("no time", {"RebalanceTimeoutMs": -1}), ("no topology", {"Topology": None}), ("tasks", owned(0)), ("no tasks", {"ActiveTasks": None}),
            ("standby tasks", {"StandbyTasks": owned(0)["ActiveTasks"]}), ("warm-up tasks", {"WarmupTasks": owned(0)["ActiveTasks"]}),
            ("offsets of tasks", {"TaskOffsets": []}), ("ends of tasks", {"TaskEndOffsets": []}), ("a static epoch", {"MemberEpoch": -2}),
            ("an odd epoch", {"MemberEpoch": -3}), ("a topology later", {"MemberEpoch": 1}),
            ("a regular expression", {"Topology": topology(regex=["a.*"])}),
            ("a changelog with partitions", {"Topology": topology(changelogs=[("cl", 1)])}),
            ("a topic of coordinators", {"Topology": topology(sources=["__consumer_offsets"])}),
            ("no name of a topic", {"Topology": topology(sources=["a/b"])}),
        ]:
            yield call(f"joining with {label}", join(**fields))
        yield call("joining without the topic", join("streams-b", Topology=topology(sources=["streams-missing"])))
        yield call("joining", join())
        yield call("joining with another topology", join(member="m2", Topology=topology(sources=["streams-in", "streams-more"])))
        yield call("joining with a newer topology", join(member="m2", Topology=topology(1)))
        yield call("too early", beat(1))
        yield call("after the delay", after(3.5, beat(1)))
        yield call("nothing new", beat(2))
        yield call("without the topic, after the delay", beat(1, "streams-b"))
        yield call("of a later epoch", beat(9))
        yield call("of the epoch before", beat(1))
        yield call("of the epoch before, with tasks", beat(1, **owned(0)))
        yield call("with tasks of others", beat(2, **owned(0, 5)))
        yield call("with tasks of no subtopology", beat(2, ActiveTasks=[{"SubtopologyId": "9", "Partitions": [0]}], StandbyTasks=[],
                                                        WarmupTasks=[]))
        yield call("of nobody", beat(2, member="m9"))
        yield call("with an endpoint", beat(2, UserEndpoint={"Host": "h", "Port": 9}))
        for d in versions("StreamsGroupDescribe"):
            ask = lambda label, *groups: (label, "StreamsGroupDescribe", d, {"GroupIds": list(groups), "IncludeAuthorizedOperations": True})
            yield ask("one", "streams-a")
            yield ask("without its topic", "streams-b")
            yield ask("none, and no name", "none", "")
        for c in versions("ConsumerGroupHeartbeat"):
            yield ("to a streams group", "ConsumerGroupHeartbeat", c, {
                "GroupId": "streams-a", "MemberId": "m1", "MemberEpoch": 0, "InstanceId": None, "RackId": None, "RebalanceTimeoutMs": 5000,
                "SubscribedTopicNames": ["streams-in"], "SubscribedTopicRegex": None, "ServerAssignor": None, "TopicPartitions": []})
        yield ("of a streams group", "DescribeGroups", 6, {"Groups": ["streams-a"], "IncludeAuthorizedOperations": False})
        yield ("of streams", "ListGroups", 5, {"StatesFilter": [], "TypesFilter": ["streams"]})
        commit = lambda label, epoch, version=9, member="m1", name="streams-in": (label, "OffsetCommit", version, {
            "GroupId": "streams-a", "GenerationIdOrMemberEpoch": epoch, "MemberId": member, "GroupInstanceId": None,
            "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 3, "CommittedLeaderEpoch": -1,
                                                      "CommittedMetadata": ""}]}]})
        yield commit("of a streams group", 3)
        yield commit("of a streams group, an earlier epoch", 2)
        yield commit("of a streams group, a later epoch", 9)
        yield commit("of a streams group, too early an epoch", 1)
        yield commit("of a streams group, nobody", 3, member="m9")
        yield commit("of a streams group, an old version", 3, version=8)
        yield ("of a streams group", "OffsetDelete", 0, {"GroupId": "streams-a", "Topics": [
            {"Name": "streams-in", "Partitions": [{"PartitionIndex": 0}]}]})
        yield ("a streams group with members", "DeleteGroups", 2, {"GroupsNames": ["streams-a"]})
        yield call("asking for the end", beat(3, ShutdownApplication=True))
        yield call("leaving", beat(-1))
        yield call("leaving again", beat(-1))
        yield call("coming again with another topology", join(Topology=topology(sources=["streams-more"])))
        yield ("streams groups", "DeleteGroups", 2, {"GroupsNames": ["streams-a", "streams-b"]})
        yield ("of none", "StreamsGroupDescribe", 0, {"GroupIds": ["streams-a"], "IncludeAuthorizedOperations": False})


def share_topic(name, last, partitions=1):
    """A topic of six records in each of its partitions, and its id."""
    records = batch([b"one", b"two", b"three", b"four", b"five", b"six"])
    yield (f"{name}, to share", "CreateTopics", last, create(topic(name, partitions)))
    yield (f"the id of {name}", "Metadata", 12, {"Topics": [{"TopicId": ZERO, "Name": name}]})
    # The reference leads a new partition a moment later.
    yield (f"records of {name}", "Produce", 9, after(0.5, {"TransactionalId": None, "Acks": -1, "TimeoutMs": 30000, "TopicData": [
        {"Name": name, "PartitionData": [{"Index": it, "Records": records} for it in range(partitions)]}]}))


def share_beat(epoch, group, member=SHARE_MEMBER, **fields):
    return {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "RackId": None, "SubscribedTopicNames": None} | fields


def from_the_start(group):
    """Before anyone joins it, a share group is told to begin with the first record."""
    return (f"{group} from the start", "IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 32, "ResourceName": group, "Configs": [
        {"Name": "share.auto.offset.reset", "ConfigOperation": 0, "Value": "earliest"}]}]})


def share_groups(versions, last):
    """Share groups (KIP-932): membership, and what other requests are told of such groups."""
    yield from share_topic("shared", last, 2)
    yield ("of share groups", "FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": ["share-a"]})
    for label, key in [("nonsense", "x"), ("no topic id", "g:x:0"), ("no partition", "g:AAAAAAAAAAAAAAAAAAAA_w"), ("no number", "g:AAAAAAAAAAAAAAAAAAAA_w:x"),
                       ("no group", ":AAAAAAAAAAAAAAAAAAAA_w:0"), ("a partition", "g:AAAAAAAAAAAAAAAAAAAA_w:0")]:
        yield (f"of a share partition: {label}", "FindCoordinator", 6, {"KeyType": 2, "CoordinatorKeys": [key]})
    yield from_the_start("share-a")
    join = lambda group="share-a", **fields: share_beat(0, group, **{"SubscribedTopicNames": ["shared"]} | fields)
    # Epochs of groups begin at 1 here, and at 2 there.
    def again(group, epochs=0, wait=0, **more):
        return lambda seen: time.sleep(wait) or share_beat(seen["MemberEpoch"] + epochs, group, **more)
    for v in versions("ShareGroupHeartbeat"):
        call = lambda label, body: (label, "ShareGroupHeartbeat", v, body)
        yield call("to no group", share_beat(1, "share-a"))
        yield call("leaving no group", share_beat(-1, "share-a"))
        for label, fields in [
            ("no group", {"GroupId": ""}), ("no member", {"MemberId": ""}), ("an empty rack", {"RackId": ""}), ("no topics", {"SubscribedTopicNames": None}),
            ("an empty list of topics", {"SubscribedTopicNames": []}), ("epoch -2", {"MemberEpoch": -2}), ("epoch -3", {"MemberEpoch": -3}),
        ]:
            yield call(f"joining with {label}", join(**fields))
        yield call("joining for a topic that is not there", join("share-b", SubscribedTopicNames=["missing-topic"]))
        yield call("without the topic, later", again("share-b"))
        yield call("joining for no name of a topic", join("share-c", SubscribedTopicNames=["a/b", ""]))
        yield call("joining a classic group", join("commit-9-m"))
        yield call("joining", join())
        yield call("after the states", again("share-a", wait=2))
        yield call("joining again", join())
        yield call("nothing new", again("share-a"))
        yield call("of a later epoch", again("share-a", 5))
        yield call("of the epoch before", again("share-a", -1))
        yield call("of nobody", again("share-a", member="nobody"))
        yield call("with another rack", again("share-a", RackId="r"))
        for d in versions("ShareGroupDescribe"):
            ask = lambda label, *groups: (label, "ShareGroupDescribe", d, {"GroupIds": list(groups), "IncludeAuthorizedOperations": True})
            yield ask("one", "share-a")
            yield ask("without its topic", "share-b")
            yield ask("none, and no name", "none", "")
            yield ask("a classic one", "commit-9-m")
            yield ask("no group")
            yield ask("one twice", "share-a", "share-a")
    yield ("to a share group", "ConsumerGroupHeartbeat", 1, {
        "GroupId": "share-a", "MemberId": "m1", "MemberEpoch": 0, "InstanceId": None, "RackId": None, "RebalanceTimeoutMs": 5000,
        "SubscribedTopicNames": ["shared"], "SubscribedTopicRegex": None, "ServerAssignor": None, "TopicPartitions": []})
    yield ("a share group", "JoinGroup", 9, {
        "GroupId": "share-a", "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": "", "ProtocolType": "consumer",
        "Protocols": [{"Name": "range", "Metadata": b"m"}]})
    yield ("a share group", "Heartbeat", 4, {"GroupId": "share-a", "GenerationId": 2, "MemberId": SHARE_MEMBER})
    yield ("a share group", "LeaveGroup", 5, {"GroupId": "share-a", "Members": [{"MemberId": SHARE_MEMBER}]})
    for v in versions("ConsumerGroupDescribe"):
        yield ("a share group", "ConsumerGroupDescribe", v, {"GroupIds": ["share-a"], "IncludeAuthorizedOperations": False})
    yield ("a share group", "StreamsGroupDescribe", 0, {"GroupIds": ["share-a"], "IncludeAuthorizedOperations": False})
    yield ("a share group", "DescribeGroups", 6, {"Groups": ["share-a"], "IncludeAuthorizedOperations": False})
    yield ("share groups", "ListGroups", 5, {"StatesFilter": [], "TypesFilter": ["share"]})
    yield ("share groups that are stable", "ListGroups", 5, {"StatesFilter": ["Stable"], "TypesFilter": ["share"]})
    for epoch, member in [(-1, ""), (2, SHARE_MEMBER)]:
        yield (f"of a share group, epoch {epoch}", "OffsetCommit", 9, {
            "GroupId": "share-a", "GenerationIdOrMemberEpoch": epoch, "MemberId": member, "Topics": [{"Name": "shared", "Partitions": [
                {"PartitionIndex": 0, "CommittedOffset": 3, "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}]}]})
        yield (f"of a share group, epoch {epoch}", "OffsetFetch", 9, {"Groups": [
            {"GroupId": "share-a", "MemberId": member, "MemberEpoch": epoch, "Topics": [{"Name": "shared", "PartitionIndexes": [0]}]}]})
    yield ("all of a share group", "OffsetFetch", 9, {"Groups": [{"GroupId": "share-a", "MemberId": None, "MemberEpoch": -1, "Topics": None}]})
    yield ("of a share group", "OffsetDelete", 0, {"GroupId": "share-a", "Topics": [{"Name": "shared", "Partitions": [{"PartitionIndex": 0}]}]})
    yield ("a share group with members", "DeleteGroups", 2, {"GroupsNames": ["share-a"]})

    def describe(label, *asked):
        for v in versions("DescribeShareGroupOffsets"):
            yield (label, "DescribeShareGroupOffsets", v, {"Groups": [
                {"GroupId": group, "Topics": names and [{"TopicName": n, "Partitions": p} for n, p in names]} for group, names in asked]})

    def alter(label, group="share-a", name="shared", *parts):
        for v in versions("AlterShareGroupOffsets"):
            yield (label, "AlterShareGroupOffsets", v, {"GroupId": group, "Topics": [
                {"TopicName": name, "Partitions": [{"PartitionIndex": p, "StartOffset": o} for p, o in parts]}] if name else []})

    def delete(label, group="share-a", *names):
        for v in versions("DeleteShareGroupOffsets"):
            yield (label, "DeleteShareGroupOffsets", v, {"GroupId": group, "Topics": [{"TopicName": n} for n in names]})

    yield from describe("before anything was fetched", ("share-a", [("shared", [0, 1])]))
    yield from describe("all, before anything was fetched", ("share-a", None))
    yield from alter("with members", "share-a", "shared", (0, 3))
    yield from delete("with members", "share-a", "shared")
    for v in versions("ShareGroupHeartbeat"):
        yield ("leaving", "ShareGroupHeartbeat", v, share_beat(-1, "share-a"))
        yield ("leaving again", "ShareGroupHeartbeat", v, share_beat(-1, "share-a"))
        yield ("leaving without the topic", "ShareGroupHeartbeat", v, share_beat(-1, "share-b"))
        yield ("leaving without a name", "ShareGroupHeartbeat", v, share_beat(-1, "share-c"))
    yield ("an empty one", "ShareGroupDescribe", 1, {"GroupIds": ["share-a"], "IncludeAuthorizedOperations": False})
    yield from alter("one", "share-a", "shared", (0, 3))
    yield from alter("below 0", "share-a", "shared", (0, -3))
    yield from alter("beyond the end", "share-a", "shared", (1, 1000))
    yield from alter("no such partition", "share-a", "shared", (7, 1), (1, 2))
    yield from alter("a negative partition", "share-c", "shared", (-1, 1))
    yield from alter("no such topic", "share-a", "missing-topic", (0, 1))
    yield from alter("no name of a topic", "share-a", "a/b", (0, 1))
    yield from alter("one partition twice", "share-a", "shared", (0, 2), (0, 4))
    yield from alter("no partitions", "share-c", "shared")
    yield from alter("no topics", "share-a", "")
    yield from alter("a topic that was never subscribed to", "share-a", "data", (0, 0))
    yield from alter("no such group", "share-new", "shared", (0, 3))
    yield from describe("the one that began so", ("share-new", None))
    yield from alter("no group", "", "shared", (0, 3))
    yield from alter("a classic group", "commit-9-m", "shared", (0, 3))
    yield from describe("some", ("share-a", [("shared", [0, 1])]))
    yield from describe("all", ("share-a", None))
    yield from describe("no partitions", ("share-a", [("shared", [])]))
    yield from describe("no topics", ("share-a", []))
    yield from describe("no such partition", ("share-a", [("shared", [7])]))
    yield from describe("a negative partition", ("share-a", [("shared", [-1])]))
    yield from describe("no such topic", ("share-a", [("missing-topic", [0])]))
    yield from describe("no such group", ("none", [("shared", [0])]), ("none", None))
    yield from describe("no group", ("", [("shared", [0])]))
    yield from describe("a classic group", ("commit-9-m", [("shared", [0])]), ("commit-9-m", None))
    yield from describe("several", ("share-a", [("shared", [0])]), ("none", None), ("share-b", None))
    yield from describe("none")
    yield from delete("no such topic", "share-a", "missing-topic")
    yield from delete("a topic without states", "share-b", "shared")
    yield from delete("no topics", "share-a")
    yield from delete("the one that began so", "share-new", "shared")
    yield from delete("no such group", "none", "shared")
    yield from delete("no group", "", "shared")
    yield from delete("a classic group", "commit-9-m", "shared")
    yield from delete("one", "share-a", "shared", "missing-topic")
    yield from delete("again", "share-a", "shared")
    yield from describe("deleted ones", ("share-a", [("shared", [0, 1])]), ("share-a", None))
    yield ("share groups", "DeleteGroups", 2, {"GroupsNames": ["share-a", "share-b"]})
    yield ("of none", "ShareGroupDescribe", 1, {"GroupIds": ["share-a"], "IncludeAuthorizedOperations": False})
    yield from describe("of a group that is gone", ("share-a", None))

    of_group = ["share.session.timeout.ms", "share.heartbeat.interval.ms", "share.record.lock.duration.ms", "share.auto.offset.reset",
                "share.isolation.level", "share.delivery.count.limit", "share.partition.max.record.locks", "share.renew.acknowledge.enable"]
    set_one = lambda key, value: {"Resources": [{"ResourceType": 32, "ResourceName": "share-set", "Configs": [
        {"Name": key, "ConfigOperation": 0, "Value": value}]}], "ValidateOnly": False}
    show = {"Resources": [{"ResourceType": 32, "ResourceName": "share-set", "ConfigurationKeys": of_group}], "IncludeSynonyms": True}
    yield ("of a share group", "DescribeConfigs", 4, show)
    for key, values in [("share.session.timeout.ms", ["44999", "60001", "x", "50000"]), ("share.heartbeat.interval.ms", ["1", "15001", "6000"]),
                        ("share.record.lock.duration.ms", ["14999", "60001", "20000"]), ("share.auto.offset.reset", ["none", "by_duration:PT1H", "earliest"]),
                        ("share.isolation.level", ["committed", "read_committed"]), ("share.delivery.count.limit", ["1", "11", "3"]),
                        ("share.partition.max.record.locks", ["99", "10001", "200"]), ("share.renew.acknowledge.enable", ["x", "false"])]:
        for value in values:
            yield (f"{key} {value}", "IncrementalAlterConfigs", 1, set_one(key, value))
    yield ("of a share group, changed", "DescribeConfigs", 4, after(0.5, show))


def share_records(versions, last):
    """Share groups (KIP-932): sessions, records and what is said of them."""
    def one(seen, name, acks=(), partition=0):
        return {"TopicId": seen.get(name, MISSING), "Partitions": [{"PartitionIndex": partition, "AcknowledgementBatches": [
            {"FirstOffset": first, "LastOffset": end, "AcknowledgeTypes": list(types)} for first, end, types in acks]}]}

    for v in versions("ShareFetch"):
        name, group = f"share-fetch-{v}", f"share-fetch-{v}"
        yield from share_topic(name, last, 2)
        yield from_the_start(group)

        def get(epoch, *acks, topic=name, partition=0, forget=None, **fields):
            def body(seen):
                topics = [] if topic is None else [one(seen, topic, acks, partition)]
                forgotten = [] if forget is None else [{"TopicId": seen.get(name, MISSING), "Partitions": [forget]}]
                return {"GroupId": group, "MemberId": SHARE_MEMBER, "ShareSessionEpoch": epoch, "MaxWaitMs": 3000, "MinBytes": 1,
                        "MaxBytes": 1 << 20, "MaxRecords": 500, "BatchSize": 500, "Topics": topics, "ForgottenTopicsData": forgotten} | fields
            return body

        def say(epoch, *acks, topic=name, partition=0, **fields):
            return lambda seen: {"GroupId": group, "MemberId": SHARE_MEMBER, "ShareSessionEpoch": epoch,
                                 "Topics": [] if topic is None else [one(seen, topic, acks, partition)]} | fields

        fetch = lambda label, body: (label, "ShareFetch", v, body)
        acknowledge = lambda label, body: (label, "ShareAcknowledge", v, body)
        quick = {"MaxWaitMs": 0}
        for w in versions("ShareGroupHeartbeat"):
            yield ("of who fetches", "ShareGroupHeartbeat", w, share_beat(0, group, SubscribedTopicNames=[name]))
            yield ("of who fetches, after the states", "ShareGroupHeartbeat", w,
                   lambda seen: time.sleep(2) or share_beat(seen["MemberEpoch"], group))
        yield fetch("no group", get(0, GroupId=None))
        yield fetch("an empty group", get(0, GroupId=""))
        yield fetch("no member", get(0, MemberId=None))
        yield fetch("an empty member", get(0, MemberId=""))
        yield fetch("no such session", get(1))
        yield fetch("no such session ends", get(-1, topic=None))
        yield fetch("epoch -2", get(-2))
        yield fetch("acknowledging at once", get(0, (0, 0, [1])))
        yield acknowledge("no group", say(1, (0, 0, [1]), GroupId=None))
        yield acknowledge("an empty group", say(1, (0, 0, [1]), GroupId=""))
        yield acknowledge("no member", say(1, (0, 0, [1]), MemberId=None))
        yield acknowledge("no session", say(1, (0, 0, [1])))
        yield acknowledge("as the first", say(0, (0, 0, [1])))
        yield acknowledge("at the end of no session", say(-1, (0, 0, [1])))
        yield fetch("opening for a topic that is not there", get(0, topic="missing-topic", **quick))
        yield fetch("opening for a partition that is not there", get(0, partition=7, **quick))
        yield fetch("opening", get(0))
        yield fetch("going on", get(1, topic=None, **quick))
        yield fetch("an epoch again", get(1, topic=None, **quick))
        yield fetch("a later epoch", get(9, topic=None, **quick))
        yield acknowledge("a later epoch", say(9, (0, 0, [1])))
        yield acknowledge("accepted", say(2, (0, 0, [1])))
        yield acknowledge("accepted again", say(3, (0, 0, [1])))
        yield acknowledge("an unknown type", say(4, (1, 1, [9])))
        yield acknowledge("a negative type", say(5, (1, 1, [-1])))
        yield acknowledge("too few types", say(6, (1, 3, [1, 1])))
        yield acknowledge("no type", say(7, (1, 1, [])))
        yield acknowledge("no batch", say(8))
        yield acknowledge("batches that overlap", say(9, (1, 2, [1]), (2, 3, [1])))
        yield acknowledge("batches in the wrong order", say(10, (3, 3, [1]), (1, 1, [1])))
        yield acknowledge("an end before its start", say(11, (3, 2, [1])))
        yield acknowledge("below 0", say(12, (-1, 0, [1])))
        yield acknowledge("what nobody has", say(13, (100, 101, [1])))
        yield acknowledge("more than it has", say(14, (5, 6, [1])))
        yield acknowledge("a topic that is not there", say(15, (0, 0, [1]), topic="missing-topic"))
        yield acknowledge("a partition that is not there", say(16, (0, 0, [1]), partition=7))
        yield acknowledge("a partition that it never fetched", say(17, (0, 0, [1]), partition=1))
        yield acknowledge("nothing", say(18, topic=None))
        yield acknowledge("renewed without saying so", say(19, (1, 1, [4])))
        if v >= 2:
            yield acknowledge("renewed", say(20, (1, 1, [4]), IsRenewAck=True))
            yield acknowledge("renewed and accepted", say(21, (1, 1, [4]), (4, 4, [1]), IsRenewAck=True))
            yield fetch("renewed, while records are wanted", get(22, (1, 1, [4]), IsRenewAck=True))
            yield fetch("renewed", get(23, (1, 1, [4]), IsRenewAck=True, MaxWaitMs=0, MinBytes=0, MaxBytes=0, MaxRecords=0, BatchSize=0))
            yield fetch("how to acquire: nonsense", get(24, topic=None, ShareAcquireMode=9, **quick))
        yield fetch("the end", get(-1, topic=None))
        yield fetch("opening again", get(0))
        yield acknowledge("released, a gap, rejected", say(1, (1, 3, [2, 0, 3])))
        yield fetch("what was released", get(2, topic=None))
        yield fetch("accepted with a fetch", get(3, (1, 1, [1]), **quick))
        yield fetch("accepted with a fetch, again", get(4, (1, 1, [1]), **quick))
        yield fetch("nonsense with a fetch", get(5, (4, 5, [9]), **quick))
        yield fetch("of a partition that is not there, with a fetch", get(6, (4, 4, [1]), partition=7, **quick))
        yield fetch("without what it never had", get(7, topic=None, forget=7, **quick))
        yield fetch("another partition", get(8, partition=1))
        yield fetch("without one", get(9, topic=None, forget=1, **quick))
        yield ("while it is fetched", "DescribeShareGroupOffsets", 1, {"Groups": [{"GroupId": group, "Topics": [{"TopicName": name, "Partitions": [0, 1]}]}]})
        yield fetch("no records wanted", get(10, topic=None, MaxRecords=0, **quick))
        yield fetch("fewer than none", get(11, topic=None, MaxRecords=-1, **quick))
        yield fetch("the end, and the last ones accepted", get(-1, (4, 5, [1])))
        yield fetch("after the end", get(12, topic=None))
        yield fetch("one record", get(0, partition=1, MaxRecords=1, BatchSize=1))
        if v >= 2:
            yield acknowledge("released", say(1, (0, 0, [2]), partition=1))
            yield fetch("one record, no more", get(2, topic=None, MaxRecords=1, BatchSize=1, ShareAcquireMode=1))
        yield acknowledge("the end", say(-1, (0, 0, [1]), partition=1))
        yield acknowledge("after the end", say(3, (0, 0, [1]), partition=1))
        yield ("where it is", "DescribeShareGroupOffsets", 1, {"Groups": [{"GroupId": group, "Topics": [{"TopicName": name, "Partitions": [0, 1]}]}]})
        stranger = "share-strange-" + str(v)
        yield fetch("in a group that nobody has joined", get(0, GroupId=stranger))
        yield fetch("in a classic group", get(0, GroupId="commit-9-m"))

    keys = ["cleanup.policy", "compression.type", "segment.bytes", "retention.ms"]
    yield ("the topic of share groups", "DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": "__share_group_state", "ConfigurationKeys": keys}]})
    yield ("the topic of share groups", "Metadata", 12, {"Topics": [{"TopicId": ZERO, "Name": "__share_group_state"}]})
    yield ("to the topic of share groups", "Produce", 9, {"TransactionalId": None, "Acks": -1, "TimeoutMs": 1000, "TopicData": [
        {"Name": "__share_group_state", "PartitionData": [{"Index": 0, "Records": batch()}]}]})



def cases(schema, versions):
    for v in versions("CreateTopics"):
        call = lambda label, body: (label, "CreateTopics", v, body)
        t = f"create-{v}"
        yield call("a topic", create(topic(t, 3, configs={"retention.ms": "1000000"})))
        yield call("again", create(topic(t)))
        yield call("twice in one request", create(topic(f"{t}-twice"), topic(f"{t}-twice")))
        for label, name in [("no name", ""), ("a dot", "."), ("a slash", "a/b"), ("a long name", "x" * 250)]:
            yield call(label, create(topic(name)))
        for partitions in [0, -2]:
            yield call(f"{partitions} partitions", create(topic(f"{t}-n", partitions)))
        for factor in [0, -2, 3]:
            yield call(f"replication factor {factor}", create(topic(f"{t}-r", 1, factor)))
        if v >= 4:
            yield call("default partitions and replication", create(topic(f"{t}-d", -1, -1)))
        yield call("an unknown config", create(topic(f"{t}-c", configs={"no.such.config": "1"})))
        yield call("a config that is no number", create(topic(f"{t}-c", configs={"retention.ms": "soon"})))
        yield call("a config out of range", create(topic(f"{t}-c", configs={"segment.bytes": "-5"})))
        yield call("a null config", create(topic(f"{t}-c", configs={"retention.ms": None})))
        yield call("validate only", create(topic(f"{t}-v"), validate=True))
        assigned = lambda *brokers: [{"PartitionIndex": i, "BrokerIds": list(b)} for i, b in enumerate(brokers)]
        yield call("by assignment", create(topic(f"{t}-a", -1, -1, assignments=assigned([1], [1]))))
        yield call("assigned to a stranger", create(topic(f"{t}-b", -1, -1, assignments=assigned([99]))))
        yield call("assigned with a gap", create(topic(f"{t}-g", -1, -1, assignments=[{"PartitionIndex": 1, "BrokerIds": [1]}])))
        yield call("assigned twice to one", create(topic(f"{t}-h", -1, -1, assignments=assigned([1, 1]))))
        yield call("both count and assignment", create(topic(f"{t}-e", 2, 1, assignments=assigned([1]))))
        yield call("nothing", create())

    last = max(versions("CreateTopics"))
    yield ("the topic for data", "CreateTopics", last, create(topic("data", 2)))
    yield ("a topic with LogAppendTime", "CreateTopics", last, create(topic("append", configs={"message.timestamp.type": "LogAppendTime"})))
    yield ("a topic of small messages", "CreateTopics", last, create(topic("small", configs={"max.message.bytes": "1000"})))
    yield ("a topic of narrow times", "CreateTopics", last, create(topic("times", configs={"message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000"})))

    for v in versions("Metadata"):
        named = lambda *names, **more: {"Topics": [{"Name": n} for n in names], "AllowAutoTopicCreation": False, **more}
        call = lambda label, body: (label, "Metadata", v, body)
        yield call("one topic", named("data"))
        if v >= 4:
            yield call("a topic that is not there", named("missing"))
            yield call("a name that cannot be", named("a/b", ""))
        if v >= 1:
            yield call("no topic", named())
        if v >= 12:
            yield call("by id", lambda seen: {"Topics": [{"Name": None, "TopicId": seen["data"]}], "AllowAutoTopicCreation": False})
            yield call("by an id that is not there", {"Topics": [{"Name": None, "TopicId": "00000000-0000-0000-0000-0000000000ff"}]})

    for v in versions("Produce"):
        if v < 3:
            continue
        name = f"produce-{v}"
        yield ("its topic", "CreateTopics", last, create(topic(name, 1)))

        def put(records, topic_name=name, partition=0, acks=-1, txn=None):
            part = [{"Index": partition, "Records": records}]
            if v < 13:
                data = [{"Name": topic_name, "PartitionData": part}]
                return {"TransactionalId": txn, "Acks": acks, "TimeoutMs": 30000, "TopicData": data}
            missing = "00000000-0000-0000-0000-0000000000ff"
            return lambda seen: {"TransactionalId": txn, "Acks": acks, "TimeoutMs": 30000, "TopicData": [
                {"TopicId": seen.get(topic_name, missing), "PartitionData": part}]}

        call = lambda label, body: (label, "Produce", v, body)
        yield call("a batch", put(batch()))
        yield call("acks=1", put(batch(), acks=1))
        yield call("acks=2", put(batch(), acks=2))
        yield call("gzip", put(batch(attributes=1)))
        yield call("a wrong checksum", put(batch(spoil=True)))
        yield call("magic 1", put(batch(magic=1)))
        yield call("magic 9", put(batch(magic=9)))
        yield call("too many records counted", put(batch(count=7)))
        yield call("no records counted", put(batch(count=0)))
        yield call("a negative count", put(batch(count=-1)))
        yield call("a last offset that lies", put(batch(last=9)))
        yield call("two batches", put(batch() + batch()))
        yield call("a batch and a half", put(batch() + batch()[:40], "small"))
        yield call("half a batch", put(batch()[:70]))
        yield call("no batch", put(b""))
        yield call("null", put(None))
        yield call("a control batch", put(batch(attributes=0x20)))
        yield call("compression type 6", put(batch(attributes=6)))
        yield call("gzip that is none", put(batch(attributes=0)[:21] + batch(attributes=1)[21:40] + b"xxxx"))
        yield call("transactional without an id", put(batch(attributes=0x10, producer=7000, epoch=0, sequence=0)))
        yield call("a topic that is not there", put(batch(), "missing-topic"))
        yield call("a partition that is not there", put(batch(), partition=9))
        yield call("a negative partition", put(batch(), partition=-1))
        yield call("too large", put(batch([b"x" * 2000]), "small"))
        yield call("LogAppendTime", put(batch(), "append"))
        yield call("from the future", put(batch(time_ms=NOW + 10**9), "times"))
        yield call("from the past", put(batch(time_ms=NOW - 10**9), "times"))
        yield call("without a time", put(batch(time_ms=-1), "data"))
        one = lambda sequence, epoch=0: put(batch(producer=4000 + v, epoch=epoch, sequence=sequence))
        yield call("a producer's first", one(0))
        yield call("its next", one(2))
        yield call("its first again", one(0))
        yield call("a gap", one(9))
        yield call("a new epoch from 0", one(0, 1))
        yield call("a new epoch from 5", one(5, 2))
        yield call("an old epoch", one(4))
        yield call("a negative sequence", put(batch(producer=4000 + v, epoch=1, sequence=-1)))

    for v in versions("Fetch"):
        def get(offset, name="data", partition=0, part=None, **more):
            def body(seen):
                entry = {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20, **(part or {})}
                missing = "00000000-0000-0000-0000-0000000000ff"
                topics = [{"Topic": name, "TopicId": seen.get(name, missing), "Partitions": [entry]}]
                return {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": topics, **more}
            return body
        call = lambda label, body: (label, "Fetch", v, body)
        yield call("from 0", get(0, "produce-3"))
        yield call("inside a batch", get(1, "produce-3"))
        yield call("read committed", get(0, "produce-3", IsolationLevel=1))
        yield call("one byte", get(0, "produce-3", MaxBytes=1, part={"PartitionMaxBytes": 1}))
        yield call("beyond the end", get(10**6))
        yield call("a negative offset", get(-1))
        yield call("a topic that is not there", get(0, "missing-topic"))
        yield call("a partition that is not there", get(0, partition=7))
        if v >= 9:
            yield call("an epoch too new", get(0, part={"CurrentLeaderEpoch": 1000}))
        if v >= 7:
            yield call("a session", get(0, SessionEpoch=0))
            yield call("the session goes on", lambda seen: {"MaxWaitMs": 0, "SessionId": seen["session"], "SessionEpoch": 1, "Topics": []})
            yield call("a wrong session epoch", lambda seen: {"MaxWaitMs": 0, "SessionId": seen["session"], "SessionEpoch": 9, "Topics": []})
            yield call("no such session", {"MaxWaitMs": 0, "SessionId": 12345678, "SessionEpoch": 3, "Topics": []})
            yield call("the session ends", lambda seen: {"MaxWaitMs": 0, "SessionId": seen["session"], "SessionEpoch": -1, "Topics": []})

    for v in versions("ListOffsets"):
        for at in [-1, -2, -3, -4, -5, -6, -9, 0, NOW - 1, NOW, NOW + 10**9]:
            if at <= -3 and v < {-3: 7, -4: 8, -5: 9}.get(at, 11):
                continue
            where = {"PartitionIndex": 0, "Timestamp": at}
            shown = at - NOW if at > 0 else at
            yield (f"at {shown}", "ListOffsets", v, {"ReplicaId": -1, "Topics": [{"Name": "produce-3", "Partitions": [where]}]})
        for name, p in [("missing-topic", 0), ("data", 9)]:
            yield (f"{name} {p}", "ListOffsets", v, {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": p, "Timestamp": -1}]}]})
        if v >= 4:
            yield ("an epoch too new", "ListOffsets", v, {"ReplicaId": -1, "Topics": [{"Name": "data", "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": 1000, "Timestamp": -1}]}]})

    for v in versions("OffsetForLeaderEpoch"):
        for name, part in [
            ("epoch 0", {"LeaderEpoch": 0}), ("a later epoch", {"LeaderEpoch": 1000}), ("epoch -1", {"LeaderEpoch": -1}),
            ("a current epoch too new", {"CurrentLeaderEpoch": 1000, "LeaderEpoch": 0}), ("no such partition", {"Partition": 9, "LeaderEpoch": 0}),
        ]:
            body = {"ReplicaId": -1, "Topics": [{"Topic": "produce-3", "Partitions": [{"Partition": 0, **part}]}]}
            yield (name, "OffsetForLeaderEpoch", v, body)

    for v in versions("InitProducerId"):
        yield ("a producer", "InitProducerId", v, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
        if v >= 3:
            yield ("an epoch without an id", "InitProducerId", v, {"TransactionalId": None, "TransactionTimeoutMs": 60000, "ProducerEpoch": 5})

    for v in versions("CreatePartitions"):
        name = f"grow-{v}"
        yield ("its topic", "CreateTopics", last, create(topic(name, 2)))
        grow = lambda label, n, topic_name=name, assigned=None, validate=False: (label, "CreatePartitions", v, {
            "Topics": [{"Name": topic_name, "Count": n, "Assignments": assigned}], "TimeoutMs": 30000, "ValidateOnly": validate})
        yield grow("to 1", 1)
        yield grow("to as many", 2)
        yield grow("validate only", 4, validate=True)
        yield grow("to 4", 4)
        yield grow("to -1", -1)
        yield grow("no such topic", 4, "missing-topic")
        yield grow("by assignment", 5, assigned=[{"BrokerIds": [1]}])
        yield grow("assigned to a stranger", 6, assigned=[{"BrokerIds": [99]}])
        yield grow("too few assignments", 8, assigned=[{"BrokerIds": [1]}])

    for v in versions("DeleteRecords"):
        cut = lambda label, offset, name="produce-4", p=0: (label, "DeleteRecords", v, {
            "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": p, "Offset": offset}]}], "TimeoutMs": 30000})
        yield cut("before 1", 1)
        yield cut("before 2", 2)
        yield cut("before 1, again", 1)
        yield cut("beyond the end", 10**6)
        yield cut("offset -5", -5)
        yield cut("no such topic", 1, "missing-topic")
        yield cut("no such partition", 1, "data", 9)
        yield cut("everything", -1)

    for v in versions("DescribeConfigs"):
        ask = lambda label, kind, name, keys=None, **more: (label, "DescribeConfigs", v, {
            "Resources": [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}], **more})
        keys = ["retention.ms", "cleanup.policy", "max.message.bytes", "segment.bytes", "min.insync.replicas",
                "message.timestamp.type", "retention.bytes", "file.delete.delay.ms", "index.interval.bytes",
                "segment.ms", "flush.messages", "flush.ms", "compression.type", "no.such.config"]
        yield ask("some configs of a topic", 2, "create-2", keys)
        yield ask("all configs of a topic", 2, "data")
        if v >= 1:
            yield ask("with synonyms", 2, "create-2", keys, IncludeSynonyms=True)
        yield ask("no such topic", 2, "missing-topic")
        yield ask("a name that cannot be", 2, "a/b")
        yield ask("no such broker", 4, "77")
        yield ask("a broker by no number", 4, "x")
        yield ask("no such kind", 99, "x")
        yield ask("a broker's config", 4, "1", ["num.partitions", "log.retention.ms", "message.max.bytes"])
        yield ask("subscriptions to metrics", 16, "x")
        yield ask("a group", 32, "g")
        yield ask("some configs of a group", 32, "g", ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms"])
        yield ask("a group without a name", 32, "")
        yield ask("levels of a broker's log", 8, "1")

    times = {"log.retention.ms": "700000000", "log.roll.ms": "70000000", "log.flush.interval.ms": "900000"}
    names = [*times, "log.retention.minutes", "log.retention.hours", "log.roll.hours", "log.flush.scheduler.interval.ms"]
    set_times = lambda operation: {"Resources": [{"ResourceType": 4, "ResourceName": "1", "Configs": [
        {"Name": k, "ConfigOperation": operation, "Value": x} for k, x in times.items()]}], "ValidateOnly": False}
    show = lambda kind, name, keys: {"Resources": [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}],
                                     "IncludeSynonyms": True}
    yield ("dynamic times of a broker", "IncrementalAlterConfigs", 1, set_times(0))
    # Kafka shows the new sources at once, and the new values a moment later.
    yield ("what stands behind them", "DescribeConfigs", 4, lambda _: time.sleep(1) or show(4, "1", names))
    yield ("what stands behind a topic's", "DescribeConfigs", 4, show(2, "data", ["retention.ms", "segment.ms", "flush.ms"]))
    yield ("dynamic times go", "IncrementalAlterConfigs", 1, set_times(1))

    for v in versions("AlterConfigs"):
        name = f"alter-{v}"
        yield ("its topic", "CreateTopics", last, create(topic(name)))
        put = lambda label, configs, kind=2, n=name, validate=False: (label, "AlterConfigs", v, {
            "Resources": [{"ResourceType": kind, "ResourceName": n, "Configs": [{"Name": k, "Value": x} for k, x in configs]}], "ValidateOnly": validate})
        yield put("one", [("retention.ms", "5000000")])
        yield put("another replaces it", [("segment.bytes", "2000000")])
        yield put("validate only", [("segment.bytes", "3000000")], validate=True)
        yield put("no number", [("retention.ms", "x")])
        yield put("unknown", [("no.such.config", "x")])
        yield put("null", [("retention.ms", None)])
        yield put("no such topic", [("retention.ms", "1")], n="missing-topic")
        yield put("no such kind", [("retention.ms", "1")], kind=99)
        yield ("what it is now", "DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": ["retention.ms", "segment.bytes"]}]})

    for v in versions("IncrementalAlterConfigs"):
        name = f"incremental-{v}"
        yield ("its topic", "CreateTopics", last, create(topic(name)))
        put = lambda label, *configs, kind=2, n=name, validate=False: (label, "IncrementalAlterConfigs", v, {
            "Resources": [{"ResourceType": kind, "ResourceName": n, "Configs": [{"Name": k, "ConfigOperation": o, "Value": x} for k, o, x in configs]}], "ValidateOnly": validate})
        yield put("set", ("retention.ms", 0, "5000000"))
        yield put("set another", ("segment.bytes", 0, "2000000"))
        yield put("delete", ("retention.ms", 1, None))
        yield put("append to no list", ("retention.ms", 2, "1"))
        yield put("subtract", ("cleanup.policy", 3, "compact"))
        yield put("no such operation", ("retention.ms", 9, "1"))
        yield put("no number", ("retention.ms", 0, "x"))
        yield put("unknown", ("no.such.config", 0, "x"))
        yield put("null", ("retention.ms", 0, None))
        yield put("one config twice", ("retention.ms", 0, "1"), ("retention.ms", 0, "2"))
        yield put("validate only", ("retention.ms", 0, "77"), validate=True)
        yield put("no such topic", ("retention.ms", 0, "1"), n="missing-topic")
        yield ("what it is now", "DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": ["retention.ms", "segment.bytes", "cleanup.policy"]}]})

    of_group = ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms"]
    for v in versions("IncrementalAlterConfigs"):
        put = lambda label, *configs, n="g": (label, "IncrementalAlterConfigs", v, {"Resources": [
            {"ResourceType": 32, "ResourceName": n, "Configs": [{"Name": k, "ConfigOperation": o, "Value": x} for k, o, x in configs]}]})
        yield put("of a group", ("consumer.session.timeout.ms", 0, "50000"))
        # Brokers hear of it a moment later.
        yield ("what stands behind a group's", "DescribeConfigs", 4, lambda _: time.sleep(0.5) or show(32, "g", of_group))
        for label, key, value in [("too short", "consumer.session.timeout.ms", "44999"), ("too long", "consumer.session.timeout.ms", "60001"),
                                  ("too seldom", "consumer.assignment.interval.ms", "15001"), ("negative", "consumer.assignment.interval.ms", "-1"),
                                  ("no number", "consumer.heartbeat.interval.ms", "x"), ("too often", "consumer.heartbeat.interval.ms", "1"),
                                  ("unknown to groups", "retention.ms", "1")]:
            yield put(label, (key, 0, value))
        yield put("of no group", ("consumer.session.timeout.ms", 0, "50000"), n="")
        if v >= 1:
            yield ("groups with configs", "ListConfigResources", 1, {"ResourceTypes": [32]})
        yield put("taken back", ("consumer.session.timeout.ms", 1, None))
        yield ("what a group has then", "DescribeConfigs", 4, lambda _: time.sleep(0.5) or show(32, "g", of_group))

    # No authorizer is configured on either side.
    acl = {"Principal": "User:alice", "Host": "*", "Operation": 3, "PermissionType": 3}
    matching = {"ResourceTypeFilter": 2, "ResourceNameFilter": "data", "PatternTypeFilter": 3, "Operation": 1, "PermissionType": 1}
    for v in versions("DescribeAcls"):
        yield ("of a topic", "DescribeAcls", v, matching)
        yield ("all", "DescribeAcls", v, {"ResourceTypeFilter": 1, "PatternTypeFilter": 1, "Operation": 1, "PermissionType": 1})
    for v in versions("CreateAcls"):
        topics = [acl | {"ResourceType": 2, "ResourceName": name, "ResourcePatternType": 3} for name in ("data", "missing-topic")]
        yield ("two", "CreateAcls", v, {"Creations": topics})
        yield ("none", "CreateAcls", v, {"Creations": []})
    for v in versions("DeleteAcls"):
        yield ("by two filters", "DeleteAcls", v, {"Filters": [matching, matching | {"ResourceNameFilter": None}]})
    for v in versions("ListConfigResources"):
        yield ("topics", "ListConfigResources", v, {"ResourceTypes": [2]} if v else {})
    for v in versions("DescribeCluster"):
        yield ("brokers", "DescribeCluster", v, {"EndpointType": 1})
        if v >= 1:
            yield ("controllers", "DescribeCluster", v, {"EndpointType": 2})
    for v in versions("DescribeTopicPartitions"):
        yield ("topics", "DescribeTopicPartitions", v, {"Topics": [{"Name": "data"}, {"Name": "missing-topic"}], "ResponsePartitionLimit": 100})
        yield ("a page", "DescribeTopicPartitions", v, {"Topics": [{"Name": "create-2"}, {"Name": "data"}], "ResponsePartitionLimit": 2})
        yield ("from a cursor", "DescribeTopicPartitions", v, {"Topics": [{"Name": "create-2"}, {"Name": "data"}], "ResponsePartitionLimit": 9, "Cursor": {"TopicName": "create-2", "PartitionIndex": 1}})
    for v in versions("DescribeLogDirs"):
        yield ("a topic", "DescribeLogDirs", v, {"Topics": [{"Topic": "data", "Partitions": [0]}]})

    yield from groups(versions, last)
    yield from streams_groups(versions)
    yield from share_groups(versions, last)
    yield from share_records(versions, last)

    for v in versions("DeleteTopics"):
        name = f"gone-{v}"
        yield ("its topic", "CreateTopics", last, create(topic(name)))
        if v < 6:
            for label, names in [("one", [name]), ("again", [name]), ("none", []), ("one twice", ["missing-topic"] * 2)]:
                yield (label, "DeleteTopics", v, {"TopicNames": names, "TimeoutMs": 30000})
        else:
            drop = lambda label, *topics: (label, "DeleteTopics", v, {"Topics": list(topics), "TimeoutMs": 30000})
            yield drop("by name", {"Name": name})
            yield drop("again", {"Name": name})
            yield drop("by an id that is not there", {"Name": None, "TopicId": "00000000-0000-0000-0000-0000000000ff"})
            yield ("by id", "DeleteTopics", v, lambda seen: {"Topics": [{"Name": None, "TopicId": seen["data"]}], "TimeoutMs": 30000})
            yield ("by name and id", "DeleteTopics", v, lambda seen: {"Topics": [{"Name": "small", "TopicId": seen["small"]}], "TimeoutMs": 30000})

    yield ("a version too new", "Metadata", 99, b"")
    yield ("a version too old", "Produce", 2, b"\0" * 30)
    yield ("nothing where fields should be", "Metadata", 9, b"")
    yield ("a count that lies", "Metadata", 8, b"\x7f\xff\xff\xff")
    yield ("a count that lies, flexible", "Metadata", 12, b"\xff\xff\xff\xff\x0f")
    yield ("bytes after the end", "Metadata", 8, b"\0\0\0\0\0\0\0" + b"\0" * 50)
