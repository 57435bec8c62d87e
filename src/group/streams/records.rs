//! The records of streams groups, in Kafka's own format: see `group::records`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::member::{Endpoint, OwnedTasks, Role, StreamsMetadata};
use super::tasks::{TaskIds, Tasks};
use super::topology::{CopartitionGroup, Subtopology, TopicInfo, Topology};
use crate::group::consumer::assigned_since::AssignedSince;
use crate::group::consumer::change::{AssignedBy, Change, Epoch};
use crate::group::consumer::member::{Current, MemberMetadata, MemberState};
use crate::group::consumer::partitions;
use crate::group::consumer::records::{
    kept, read_target_epoch, write_numbers, write_target_epoch, written,
};
use crate::group::records::{
    Record, RecordError, STREAMS_CURRENT_KEY, STREAMS_EPOCH_KEY, STREAMS_MEMBER_KEY,
    STREAMS_TARGET_EPOCH_KEY, STREAMS_TARGET_KEY, STREAMS_TOPOLOGY_KEY,
};
use crate::wire::primitives::{Reader, WireError, Writer};

/// The tag of `StreamsGroupMetadataValue`'s validated topology epoch.
const VALIDATED_TAG: u32 = 0;
/// The tag of its settings.
const CONFIGS_TAG: u32 = 1;
/// The tag of the epochs of tasks in `StreamsGroupCurrentMemberAssignmentValue`.
const SINCE_TAG: u32 = 0;
/// No topology was validated.
const NONE_VALIDATED: i32 = -1;

type Result<T> = std::result::Result<T, WireError>;

/// Reads a change: `kind` is the version of its key, `part` what the key names beside the group.
///
/// # Errors
/// The value does not follow its format.
pub fn read(
    kind: i16,
    part: &str,
    key_bytes: usize,
    value: Option<&[u8]>,
) -> std::result::Result<Option<Change>, RecordError> {
    let bytes = (key_bytes + value.map_or(0, <[u8]>::len)) as u64;
    decode(kind, part.to_owned(), value, bytes).map_err(RecordError::Value)
}

fn decode(kind: i16, part: String, value: Option<&[u8]>, bytes: u64) -> Result<Option<Change>> {
    Ok(Some(match kind {
        STREAMS_EPOCH_KEY => Change::Epoch(kept(value, bytes, read_epoch)?),
        STREAMS_MEMBER_KEY => Change::Metadata(part, kept(value, bytes, read_member)?),
        STREAMS_TARGET_EPOCH_KEY => Change::TargetEpoch(kept(value, bytes, read_target_epoch)?),
        STREAMS_TARGET_KEY => Change::Tasks(part, kept(value, bytes, read_target)?),
        STREAMS_CURRENT_KEY => Change::Current(part, kept(value, bytes, read_current)?),
        STREAMS_TOPOLOGY_KEY => Change::Topology(kept(value, bytes, read_topology)?),
        _ => return Ok(None),
    }))
}

fn shared(r: &mut Reader<'_>) -> Result<Arc<str>> {
    r.string(true).map(Arc::from)
}

fn pairs<T: From<String>>(r: &mut Reader<'_>) -> Result<(T, T)> {
    let pair = (r.string(true)?.to_owned().into(), r.string(true)?.to_owned().into());
    r.skip_tagged_fields()?;
    Ok(pair)
}

fn read_epoch(r: &mut Reader<'_>) -> Result<Epoch> {
    let (epoch, metadata_hash) = (r.i32()?, r.i64()?);
    let mut by = AssignedBy { validated_topology_epoch: NONE_VALIDATED, configs: None };
    r.tagged_fields(|tag, r| {
        match tag {
            VALIDATED_TAG => by.validated_topology_epoch = r.i32()?,
            CONFIGS_TAG => by.configs = r.nullable_array(true, 3, pairs)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Epoch { number: epoch, metadata_hash, streams: Some(Arc::new(by)) })
}

fn read_member(r: &mut Reader<'_>) -> Result<Box<MemberMetadata>> {
    let owned = |it: Option<&str>| it.map(str::to_owned);
    let mut member = MemberMetadata {
        instance_id: owned(r.nullable_string(true)?),
        rack_id: owned(r.nullable_string(true)?),
        client_id: r.string(true)?.to_owned(),
        client_host: r.string(true)?.to_owned(),
        rebalance_timeout_ms: r.i32()?,
        ..MemberMetadata::default()
    };
    let streams = StreamsMetadata {
        topology_epoch: r.i32()?,
        process_id: r.string(true)?.to_owned(),
        endpoint: r.nullable_struct(|r| {
            let endpoint = Endpoint { host: r.string(true)?.to_owned(), port: r.u16()? };
            r.skip_tagged_fields()?;
            Ok(endpoint)
        })?,
        client_tags: r.array(true, 3, pairs)?,
    };
    r.skip_tagged_fields()?;
    member.streams = Some(Box::new(streams));
    Ok(Box::new(member))
}

/// Tasks of a role, each with the epoch since which a member has it, where that is written.
fn read_tasks(r: &mut Reader<'_>, since: &mut BTreeMap<(Arc<str>, i32), i32>) -> Result<TaskIds> {
    let all = r.array(true, 3, |r| {
        let id = shared(r)?;
        let numbers = r.array(true, 4, Reader::i32)?;
        let mut epochs = None;
        r.tagged_fields(|tag, r| {
            if tag == SINCE_TAG {
                epochs = r.nullable_array(true, 4, Reader::i32)?;
            }
            Ok(tag == SINCE_TAG)
        })?;
        let epochs = epochs.into_iter().flatten();
        since.extend(numbers.iter().map(|it| (Arc::clone(&id), *it)).zip(epochs));
        Ok((id, numbers))
    })?;
    Ok(partitions::collect(all))
}

fn read_all(r: &mut Reader<'_>, since: &mut BTreeMap<(Arc<str>, i32), i32>) -> Result<Tasks> {
    let active = read_tasks(r, since)?;
    // Only active tasks have epochs.
    let mut none = BTreeMap::new();
    Ok(Tasks { active, standby: read_tasks(r, &mut none)?, warmup: read_tasks(r, &mut none)? })
}

fn read_target(r: &mut Reader<'_>) -> Result<Arc<Tasks>> {
    let tasks = read_all(r, &mut BTreeMap::new())?;
    r.skip_tagged_fields()?;
    Ok(Arc::new(tasks))
}

/// Where a member is, as records of streams groups have it.
const fn state_of(code: i8) -> MemberState {
    match code {
        1 => MemberState::Stable,
        2 => MemberState::UnrevokedPartitions,
        3 => MemberState::UnreleasedPartitions,
        _ => MemberState::Unknown,
    }
}

const fn code_of(state: MemberState) -> i8 {
    match state {
        MemberState::Stable => 1,
        MemberState::UnrevokedPartitions => 2,
        MemberState::UnreleasedPartitions => 3,
        MemberState::Unknown => 127,
    }
}

fn read_current(r: &mut Reader<'_>) -> Result<Current> {
    let (epoch, previous_epoch, state) = (r.i32()?, r.i32()?, state_of(r.i8()?));
    let mut written = BTreeMap::new();
    let (assigned, revoking) = (read_all(r, &mut written)?, read_all(r, &mut written)?);
    r.skip_tagged_fields()?;
    // A version that wrote none took only the member's own epoch.
    let since = AssignedSince::new([&assigned.active, &revoking.active], |id, partition| {
        written.get(&(Arc::clone(id), partition)).copied().unwrap_or(epoch)
    });
    let tasks = Some(Box::new(OwnedTasks { assigned, revoking, since }));
    Ok(Current { epoch, previous_epoch, state, tasks, ..Current::default() })
}

fn read_topic(r: &mut Reader<'_>) -> Result<TopicInfo> {
    let topic = TopicInfo {
        name: shared(r)?,
        partitions: r.i32()?,
        replication_factor: r.i16()?,
        configs: r.array(true, 3, pairs)?.into(),
    };
    r.skip_tagged_fields()?;
    Ok(topic)
}

fn read_subtopology(r: &mut Reader<'_>) -> Result<Subtopology> {
    let id = shared(r)?;
    let source_topics = r.array(true, 1, shared)?;
    let source_topic_regex = r.array(true, 1, shared)?;
    let state_changelog_topics = r.array(true, 9, read_topic)?;
    let repartition_sink_topics = r.array(true, 1, shared)?;
    let repartition_source_topics = r.array(true, 9, read_topic)?;
    let copartition_groups = r.array(true, 4, |r| {
        let group = CopartitionGroup {
            source_topics: r.array(true, 2, Reader::i16)?,
            source_topic_regex: r.array(true, 2, Reader::i16)?,
            repartition_source_topics: r.array(true, 2, Reader::i16)?,
        };
        r.skip_tagged_fields()?;
        Ok(group)
    })?;
    r.skip_tagged_fields()?;
    Ok(Subtopology {
        id,
        source_topics,
        source_topic_regex,
        repartition_sink_topics,
        repartition_source_topics,
        state_changelog_topics,
        copartition_groups,
    })
}

fn read_topology(r: &mut Reader<'_>) -> Result<Arc<Topology>> {
    let topology = Topology { epoch: r.i32()?, subtopologies: r.array(true, 8, read_subtopology)? };
    r.skip_tagged_fields()?;
    Ok(Arc::new(topology))
}

/// The record of a change of this group; its bytes are entered into the change.
///
/// # Errors
/// Something is longer than Kafka's records can hold, or no streams group has it.
pub fn record(group: &str, change: &mut Change) -> Result<Record> {
    match change {
        Change::Epoch(kept) => written(STREAMS_EPOCH_KEY, group, None, kept, write_epoch),
        Change::Metadata(id, kept) => {
            written(STREAMS_MEMBER_KEY, group, Some(id), kept, |w, it| write_member(w, it))
        }
        Change::TargetEpoch(kept) => {
            written(STREAMS_TARGET_EPOCH_KEY, group, None, kept, write_target_epoch)
        }
        Change::Tasks(id, kept) => {
            written(STREAMS_TARGET_KEY, group, Some(id), kept, |w, it| write_target(w, it))
        }
        Change::Current(id, kept) => {
            written(STREAMS_CURRENT_KEY, group, Some(id), kept, write_current)
        }
        Change::Topology(kept) => {
            written(STREAMS_TOPOLOGY_KEY, group, None, kept, |w, it| write_topology(w, it))
        }
        Change::Target(..) | Change::Regex(..) | Change::ShareTopics(_) => Err(WireError::Null),
    }
}

fn write_pair(w: &mut Writer, name: &str, value: &str) -> Result<()> {
    w.string(name, true)?;
    w.string(value, true)?;
    w.varint(0);
    Ok(())
}

fn write_epoch(w: &mut Writer, it: &Epoch) -> Result<()> {
    w.i32(it.number);
    w.i64(it.metadata_hash);
    let by = it.streams.as_deref();
    let validated = by.map(|it| it.validated_topology_epoch).filter(|it| *it != NONE_VALIDATED);
    let configs = by.and_then(|it| it.configs.as_ref());
    w.varint(u32::from(validated.is_some()) + u32::from(configs.is_some()));
    if let Some(validated) = validated {
        w.tagged_field(VALIDATED_TAG, |w| {
            w.i32(validated);
            Ok(())
        })?;
    }
    if let Some(configs) = configs {
        w.tagged_field(CONFIGS_TAG, |w| {
            w.array(configs, true, |w, (name, value)| write_pair(w, name, value))
        })?;
    }
    Ok(())
}

fn write_member(w: &mut Writer, it: &MemberMetadata) -> Result<()> {
    let none = StreamsMetadata::default();
    let streams = it.streams.as_deref().unwrap_or(&none);
    w.nullable_string(it.instance_id.as_deref(), true)?;
    w.nullable_string(it.rack_id.as_deref(), true)?;
    w.string(&it.client_id, true)?;
    w.string(&it.client_host, true)?;
    w.i32(it.rebalance_timeout_ms);
    w.i32(streams.topology_epoch);
    w.string(&streams.process_id, true)?;
    w.nullable_struct(streams.endpoint.as_ref(), |w, it| {
        w.string(&it.host, true)?;
        w.u16(it.port);
        w.varint(0);
        Ok(())
    })?;
    w.array(&streams.client_tags, true, |w, (name, value)| write_pair(w, name, value))?;
    w.varint(0);
    Ok(())
}

/// Writes tasks of a role, with the epochs since which a member has them where there are such.
fn write_tasks(
    w: &mut Writer,
    tasks: &TaskIds,
    since: Option<&AssignedSince<Arc<str>>>,
) -> Result<()> {
    w.array_len(Some(tasks.len()), true)?;
    for (id, numbers) in tasks {
        w.string(id, true)?;
        write_numbers(w, numbers)?;
        let Some(since) = since else {
            w.varint(0);
            continue;
        };
        w.varint(1);
        w.tagged_field(SINCE_TAG, |w| {
            w.array(numbers, true, |w, it| {
                w.i32(since.get(id, *it).unwrap_or_default());
                Ok(())
            })
        })?;
    }
    Ok(())
}

fn write_target(w: &mut Writer, tasks: &Tasks) -> Result<()> {
    for role in Role::ALL {
        write_tasks(w, role.of(tasks), None)?;
    }
    w.varint(0);
    Ok(())
}

fn write_current(w: &mut Writer, it: &Current) -> Result<()> {
    w.i32(it.epoch);
    w.i32(it.previous_epoch);
    w.i8(code_of(it.state));
    let none = OwnedTasks::default();
    let owned = it.tasks.as_deref().unwrap_or(&none);
    for tasks in [&owned.assigned, &owned.revoking] {
        write_tasks(w, &tasks.active, Some(&owned.since))?;
        write_tasks(w, &tasks.standby, None)?;
        write_tasks(w, &tasks.warmup, None)?;
    }
    w.varint(0);
    Ok(())
}

fn write_names(w: &mut Writer, names: &[Arc<str>]) -> Result<()> {
    w.array(names, true, |w, it| w.string(it, true))
}

fn write_topic(w: &mut Writer, it: &TopicInfo) -> Result<()> {
    w.string(&it.name, true)?;
    w.i32(it.partitions);
    w.i16(it.replication_factor);
    w.array(&it.configs, true, |w, (name, value)| write_pair(w, name, value))?;
    w.varint(0);
    Ok(())
}

fn write_places(w: &mut Writer, places: &[i16]) -> Result<()> {
    w.array(places, true, |w, it| {
        w.i16(*it);
        Ok(())
    })
}

fn write_topology(w: &mut Writer, topology: &Topology) -> Result<()> {
    w.i32(topology.epoch);
    w.array(&topology.subtopologies, true, |w, it| {
        w.string(&it.id, true)?;
        write_names(w, &it.source_topics)?;
        write_names(w, &it.source_topic_regex)?;
        w.array(&it.state_changelog_topics, true, write_topic)?;
        write_names(w, &it.repartition_sink_topics)?;
        w.array(&it.repartition_source_topics, true, write_topic)?;
        w.array(&it.copartition_groups, true, |w, it| {
            write_places(w, &it.source_topics)?;
            write_places(w, &it.source_topic_regex)?;
            write_places(w, &it.repartition_source_topics)?;
            w.varint(0);
            Ok(())
        })?;
        w.varint(0);
        Ok(())
    })?;
    w.varint(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::change::{Kept, TargetEpoch};
    use crate::group::consumer::record_testing::{check_damage, check_records, hex, read_back};

    // Written by Kafka 4.3.1's own classes (`org.apache.kafka.coordinator.group.generated`).
    const RECORDS: [(&str, &str); 8] = [
        ("00110003677270", "000000000005000000000000000900"),
        (
            "00110003677270",
            "000000000005000000000000000902000400000003011902156e756d2e7374616e6462792e7265706c69636173023100",
        ),
        (
            "0013000367727000026d31",
            "00000002720263032f680000ea60000000020270010265ffff0002057a6f6e65027a0000",
        ),
        ("0013000367727000026d31", "000000000263032f680000ea600000000001ff0100"),
        ("00140003677270", "0000000000050100080000018bcfe56800"),
        (
            "0015000367727000026d31",
            "00000202300300000000000000020002023002000000010002023002000000030000",
        ),
        (
            "0016000367727000026d31",
            "00000000000500000004020202300300000000000000010100090300000005000000040202300200000003000102023102\
             0000000201000502000000030102023102000000040000",
        ),
        (
            "00170003677270",
            "00000000000302023003026102620204782e2a0203636c00000000000002026b0276000002027302037270000000040002\
             02026b02760000020300000001020000020000000000",
        ),
    ];
    /// The current tasks without the epochs of active ones, as versions before have written them.
    const WITHOUT_EPOCHS: &str =
        "00000000000500000004020202300200000000000202300200000003000101010100";

    fn ids(all: &[(&str, &[i32])]) -> TaskIds {
        partitions::collect(all.iter().map(|(id, numbers)| (Arc::from(*id), numbers.to_vec())))
    }

    fn kept<T>(value: T, record_bytes: u64) -> Option<Kept<T>> {
        Some(Kept { value, record_bytes })
    }

    /// The changes that [`RECORDS`] are of; each knows the bytes of its record.
    fn changes() -> Vec<Change> {
        let m1 = || "m1".to_owned();
        let bytes = |at: usize| (hex(RECORDS[at].0).len() + hex(RECORDS[at].1).len()) as u64;
        let epoch = |validated_topology_epoch, configs| Epoch {
            number: 5,
            metadata_hash: 9,
            streams: Some(Arc::new(AssignedBy { validated_topology_epoch, configs })),
        };
        let configs = Some(vec![("num.standby.replicas".to_owned(), "1".to_owned())]);
        let member = |rack_id: Option<&str>, streams| MemberMetadata {
            rack_id: rack_id.map(str::to_owned),
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            rebalance_timeout_ms: 60_000,
            streams: Some(Box::new(streams)),
            ..MemberMetadata::default()
        };
        let full = StreamsMetadata {
            topology_epoch: 2,
            process_id: "p".to_owned(),
            endpoint: Some(Endpoint { host: "e".to_owned(), port: 65_535 }),
            client_tags: vec![("zone".to_owned(), "z".to_owned())],
        };
        let target = Tasks {
            active: ids(&[("0", &[0, 2])]),
            standby: ids(&[("0", &[1])]),
            warmup: ids(&[("0", &[3])]),
        };
        let assigned = Tasks {
            active: ids(&[("0", &[0, 1])]),
            standby: ids(&[("0", &[3])]),
            warmup: TaskIds::new(),
        };
        let revoking = Tasks {
            active: ids(&[("1", &[2])]),
            standby: TaskIds::new(),
            warmup: ids(&[("1", &[4])]),
        };
        let since = AssignedSince::new([&assigned.active, &revoking.active], |_, it| 5 - it);
        let current = Current {
            epoch: 5,
            previous_epoch: 4,
            state: MemberState::UnrevokedPartitions,
            tasks: Some(Box::new(OwnedTasks { assigned, revoking, since })),
            ..Current::default()
        };
        let topic = |name: &str, partitions, replication_factor| TopicInfo {
            name: name.into(),
            partitions,
            replication_factor,
            configs: [("k".into(), "v".into())].into(),
        };
        let topology = Topology {
            epoch: 3,
            subtopologies: vec![Subtopology {
                id: "0".into(),
                source_topics: vec!["a".into(), "b".into()],
                source_topic_regex: vec!["x.*".into()],
                repartition_sink_topics: vec!["s".into()],
                repartition_source_topics: vec![topic("rp", 4, 2)],
                state_changelog_topics: vec![topic("cl", 0, 0)],
                copartition_groups: vec![CopartitionGroup {
                    source_topics: vec![0, 1],
                    source_topic_regex: vec![0],
                    repartition_source_topics: vec![0],
                }],
            }],
        };
        let stamped = TargetEpoch { epoch: 5, timestamp_ms: 1_700_000_000_000 };
        vec![
            Change::Epoch(kept(epoch(NONE_VALIDATED, None), bytes(0))),
            Change::Epoch(kept(epoch(3, configs), bytes(1))),
            Change::Metadata(m1(), kept(Box::new(member(Some("r"), full)), bytes(2))),
            Change::Metadata(
                m1(),
                kept(Box::new(member(None, StreamsMetadata::default())), bytes(3)),
            ),
            Change::TargetEpoch(kept(stamped, bytes(4))),
            Change::Tasks(m1(), kept(Arc::new(target), bytes(5))),
            Change::Current(m1(), kept(current, bytes(6))),
            Change::Topology(kept(Arc::new(topology), bytes(7))),
        ]
    }

    #[test]
    fn records_are_those_of_kafka() {
        check_records(&RECORDS, &changes());
        let key = hex(RECORDS[6].0);
        let Ok(Some(Change::Current(_, Some(it)))) = read_back(&key, Some(&hex(WITHOUT_EPOCHS)))
        else {
            panic!("it is of an older version")
        };
        let tasks = it.value.tasks.expect("tasks");
        assert_eq!(tasks.assigned.active, ids(&[("0", &[0])]));
        assert_eq!(tasks.since.get("0", 0), Some(5), "the member's own epoch");
    }

    #[test]
    fn damaged_records_are_errors() {
        check_damage(&RECORDS);
    }
}
