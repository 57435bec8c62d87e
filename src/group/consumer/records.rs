//! The records of consumer groups, in Kafka's own format: see [`records`](crate::group::records).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::assigned_since::AssignedSince;
use super::change::{Change, Epoch, Kept, Resolved, TargetEpoch};
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState};
use super::partitions::{self, Partitions};
use crate::group::records::{
    CURRENT_KEY, EPOCH_KEY, MEMBER_KEY, REGEX_KEY, Record, RecordError, TARGET_EPOCH_KEY,
    TARGET_KEY,
};
use crate::group::request::Protocol;
use crate::types::TopicId;
use crate::wire::primitives::{Reader, WireError, Writer};

/// The only version of all values.
const VALUE: i16 = 0;
/// The tag of `ConsumerGroupMetadataValue`'s hash.
const HASH_TAG: u32 = 0;
/// The tag of `ConsumerGroupTargetAssignmentMetadataValue`'s timestamp.
const TIMESTAMP_TAG: u32 = 0;
/// The tag of `ConsumerGroupMemberMetadataValue`'s classic metadata.
const CLASSIC_TAG: u32 = 0;
/// The tag of the epochs of partitions in `ConsumerGroupCurrentMemberAssignmentValue` (KIP-1251).
const SINCE_TAG: u32 = 0;

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
    let record_bytes = (key_bytes + value.map_or(0, <[u8]>::len)) as u64;
    decode(kind, part.to_owned(), value, record_bytes).map_err(RecordError::Value)
}

/// Reads a value, of any protocol, with its tagged fields; `None` of a tombstone.
pub fn kept<T>(
    value: Option<&[u8]>,
    record_bytes: u64,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T>,
) -> Result<Option<Kept<T>>> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    if version != VALUE {
        return Err(WireError::UnsupportedVersion(version));
    }
    Ok(Some(Kept { value: read(&mut r)?, record_bytes }))
}

fn decode(
    kind: i16,
    part: String,
    value: Option<&[u8]>,
    record_bytes: u64,
) -> Result<Option<Change>> {
    Ok(Some(match kind {
        EPOCH_KEY => Change::Epoch(kept(value, record_bytes, read_epoch)?),
        MEMBER_KEY => Change::Metadata(part, kept(value, record_bytes, read_member)?),
        TARGET_EPOCH_KEY => Change::TargetEpoch(kept(value, record_bytes, read_target_epoch)?),
        TARGET_KEY => Change::Target(
            part,
            kept(value, record_bytes, |r| {
                let set = read_partitions(r)?;
                r.skip_tagged_fields()?;
                Ok(Arc::new(set))
            })?,
        ),
        CURRENT_KEY => Change::Current(part, kept(value, record_bytes, read_current)?),
        REGEX_KEY => Change::Regex(part, kept(value, record_bytes, read_resolved)?),
        _ => return Ok(None),
    }))
}

fn read_epoch(r: &mut Reader<'_>) -> Result<Epoch> {
    let epoch = r.i32()?;
    let mut metadata_hash = 0;
    r.tagged_fields(|tag, r| {
        if tag == HASH_TAG {
            metadata_hash = r.i64()?;
        }
        Ok(tag == HASH_TAG)
    })?;
    Ok(Epoch { number: epoch, metadata_hash, streams: None })
}

/// Reads the epoch of targets, of any protocol.
pub fn read_target_epoch(r: &mut Reader<'_>) -> Result<TargetEpoch> {
    let epoch = r.i32()?;
    let mut timestamp_ms = 0;
    r.tagged_fields(|tag, r| {
        if tag == TIMESTAMP_TAG {
            timestamp_ms = r.i64()?;
        }
        Ok(tag == TIMESTAMP_TAG)
    })?;
    Ok(TargetEpoch { epoch, timestamp_ms })
}

fn read_member(r: &mut Reader<'_>) -> Result<Box<MemberMetadata>> {
    let owned = |it: Option<&str>| it.map(str::to_owned);
    let mut member = MemberMetadata {
        instance_id: owned(r.nullable_string(true)?),
        rack_id: owned(r.nullable_string(true)?),
        client_id: r.string(true)?.to_owned(),
        client_host: r.string(true)?.to_owned(),
        topics: Rc::new(names(r)?),
        regex: owned(r.nullable_string(true)?),
        rebalance_timeout_ms: r.i32()?,
        server_assignor: owned(r.nullable_string(true)?),
        classic: None,
        streams: None,
    };
    r.tagged_fields(|tag, r| {
        if tag == CLASSIC_TAG {
            member.classic = r.nullable_struct(read_classic)?;
        }
        Ok(tag == CLASSIC_TAG)
    })?;
    Ok(Box::new(member))
}

/// Reads names.
pub fn names(r: &mut Reader<'_>) -> Result<BTreeSet<String>> {
    Ok(r.array(true, 1, |r| r.string(true))?.into_iter().map(str::to_owned).collect())
}

fn read_classic(r: &mut Reader<'_>) -> Result<ClassicMetadata> {
    let session_timeout_ms = r.i32()?;
    let protocols = r.array(true, 3, |r| {
        let name = r.string(true)?.to_owned();
        let metadata = Bytes::copy_from_slice(r.bytes(true)?);
        r.skip_tagged_fields()?;
        Ok(Protocol { name, metadata })
    })?;
    r.skip_tagged_fields()?;
    Ok(ClassicMetadata { session_timeout_ms, protocols })
}

/// Reads what a member has, of any protocol.
pub fn read_partitions(r: &mut Reader<'_>) -> Result<Partitions> {
    let topics = r.array(true, 18, |r| {
        let topic = r.uuid()?;
        let numbers = r.array(true, 4, Reader::i32)?;
        r.skip_tagged_fields()?;
        Ok((topic, numbers))
    })?;
    Ok(partitions::collect(topics))
}

/// Partitions, each with the epoch since which a member has it, where that is written.
fn read_owned(r: &mut Reader<'_>, since: &mut BTreeMap<(TopicId, i32), i32>) -> Result<Partitions> {
    let topics = r.array(true, 18, |r| {
        let topic = r.uuid()?;
        let numbers = r.array(true, 4, Reader::i32)?;
        let mut epochs = Vec::new();
        r.tagged_fields(|tag, r| {
            if tag == SINCE_TAG {
                epochs = r.array(true, 4, Reader::i32)?;
            }
            Ok(tag == SINCE_TAG)
        })?;
        since.extend(numbers.iter().map(|it| (topic, *it)).zip(epochs));
        Ok((topic, numbers))
    })?;
    Ok(partitions::collect(topics))
}

fn read_current(r: &mut Reader<'_>) -> Result<Current> {
    let mut written = BTreeMap::new();
    let (epoch, previous_epoch, state) = (r.i32()?, r.i32()?, MemberState::of_code(r.i8()?));
    let (assigned, revoking) = (read_owned(r, &mut written)?, read_owned(r, &mut written)?);
    r.skip_tagged_fields()?;
    // A version that wrote none took only the member's own epoch.
    let since = AssignedSince::new([&assigned, &revoking], |topic, partition| {
        written.get(&(*topic, partition)).copied().unwrap_or(epoch)
    });
    Ok(Current { epoch, previous_epoch, state, assigned, revoking, since, tasks: None })
}

fn read_resolved(r: &mut Reader<'_>) -> Result<Resolved> {
    let topics = r.array(true, 1, |r| r.string(true))?.into_iter().map(Arc::from).collect();
    let resolved = Resolved { topics, version: r.i64()?, timestamp_ms: r.i64()? };
    r.skip_tagged_fields()?;
    Ok(resolved)
}

/// The record of a change of this group; its bytes are entered into the change.
///
/// # Errors
/// Something is longer than Kafka's records can hold, or no consumer group has it.
pub fn record(group: &str, change: &mut Change) -> Result<Record> {
    match change {
        Change::Epoch(kept) => written(EPOCH_KEY, group, None, kept, write_epoch),
        Change::Metadata(id, kept) => {
            written(MEMBER_KEY, group, Some(id), kept, |w, it| write_member(w, it))
        }
        Change::TargetEpoch(kept) => {
            written(TARGET_EPOCH_KEY, group, None, kept, write_target_epoch)
        }
        Change::Target(id, kept) => written(TARGET_KEY, group, Some(id), kept, |w, it| {
            write_partitions(w, it)?;
            w.varint(0);
            Ok(())
        }),
        Change::Current(id, kept) => written(CURRENT_KEY, group, Some(id), kept, write_current),
        Change::Regex(pattern, kept) => {
            written(REGEX_KEY, group, Some(pattern), kept, write_resolved)
        }
        Change::ShareTopics(_) | Change::Topology(_) | Change::Tasks(..) => Err(WireError::Null),
    }
}

/// A record, of any protocol: the key of this kind, which names `part` beside the group, and the value, which
/// `write` writes with its tagged fields. Its bytes are entered.
pub fn written<T>(
    kind: i16,
    group: &str,
    part: Option<&str>,
    kept: &mut Option<Kept<T>>,
    write: impl FnOnce(&mut Writer, &T) -> Result<()>,
) -> Result<Record> {
    let key = key(kind, group, part)?;
    let value = put(kept, key.len(), write)?;
    Ok(Record { key, value })
}

fn key(kind: i16, group: &str, part: Option<&str>) -> Result<Vec<u8>> {
    let mut w = Writer::with_capacity(8 + group.len() + part.map_or(0, str::len));
    w.i16(kind);
    w.string(group, false)?;
    if let Some(part) = part {
        w.string(part, false)?;
    }
    Ok(w.into_vec())
}

fn put<T>(
    kept: &mut Option<Kept<T>>,
    key_bytes: usize,
    write: impl FnOnce(&mut Writer, &T) -> Result<()>,
) -> Result<Option<Vec<u8>>> {
    let Some(kept) = kept else { return Ok(None) };
    let mut w = Writer::with_capacity(64);
    w.i16(VALUE);
    write(&mut w, &kept.value)?;
    let value = w.into_vec();
    kept.record_bytes = (key_bytes + value.len()) as u64;
    Ok(Some(value))
}

fn write_epoch(w: &mut Writer, it: &Epoch) -> Result<()> {
    w.i32(it.number);
    if it.metadata_hash == 0 {
        w.varint(0);
        return Ok(());
    }
    w.varint(1);
    w.tagged_field(HASH_TAG, |w| {
        w.i64(it.metadata_hash);
        Ok(())
    })
}

/// Writes it.
pub fn write_target_epoch(w: &mut Writer, it: &TargetEpoch) -> Result<()> {
    w.i32(it.epoch);
    if it.timestamp_ms == 0 {
        w.varint(0);
        return Ok(());
    }
    w.varint(1);
    w.tagged_field(TIMESTAMP_TAG, |w| {
        w.i64(it.timestamp_ms);
        Ok(())
    })
}

fn write_member(w: &mut Writer, it: &MemberMetadata) -> Result<()> {
    w.nullable_string(it.instance_id.as_deref(), true)?;
    w.nullable_string(it.rack_id.as_deref(), true)?;
    w.string(&it.client_id, true)?;
    w.string(&it.client_host, true)?;
    write_names(w, it.topics.iter().map(String::as_str))?;
    w.nullable_string(it.regex.as_deref(), true)?;
    w.i32(it.rebalance_timeout_ms);
    w.nullable_string(it.server_assignor.as_deref(), true)?;
    let Some(classic) = &it.classic else {
        w.varint(0);
        return Ok(());
    };
    w.varint(1);
    w.tagged_field(CLASSIC_TAG, |w| {
        w.nullable_struct(Some(classic), |w, it| {
            w.i32(it.session_timeout_ms);
            w.array(&it.protocols, true, |w, it| {
                w.string(&it.name, true)?;
                w.bytes(&it.metadata, true)?;
                w.varint(0);
                Ok(())
            })?;
            w.varint(0);
            Ok(())
        })
    })
}

/// Writes names.
pub fn write_names<'a>(
    w: &mut Writer,
    mut names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<()> {
    w.array_len(Some(names.len()), true)?;
    names.try_for_each(|it| w.string(it, true))
}

/// Writes what a member has, of any protocol.
pub fn write_partitions(w: &mut Writer, set: &Partitions) -> Result<()> {
    w.array_len(Some(set.len()), true)?;
    for (topic, numbers) in set {
        w.uuid(*topic);
        write_numbers(w, numbers)?;
        w.varint(0);
    }
    Ok(())
}

/// Writes numbers.
pub fn write_numbers(w: &mut Writer, numbers: &[i32]) -> Result<()> {
    w.array(numbers, true, |w, it| {
        w.i32(*it);
        Ok(())
    })
}

fn write_current(w: &mut Writer, it: &Current) -> Result<()> {
    w.i32(it.epoch);
    w.i32(it.previous_epoch);
    w.i8(it.state.code());
    write_owned(w, &it.assigned, &it.since)?;
    write_owned(w, &it.revoking, &it.since)?;
    w.varint(0);
    Ok(())
}

fn write_owned(w: &mut Writer, set: &Partitions, since: &AssignedSince) -> Result<()> {
    w.array_len(Some(set.len()), true)?;
    for (topic, numbers) in set {
        w.uuid(*topic);
        write_numbers(w, numbers)?;
        w.varint(1);
        w.tagged_field(SINCE_TAG, |w| {
            w.array(numbers, true, |w, it| {
                w.i32(since.get(topic, *it).unwrap_or_default());
                Ok(())
            })
        })?;
    }
    Ok(())
}

fn write_resolved(w: &mut Writer, it: &Resolved) -> Result<()> {
    write_names(w, it.topics.iter().map(|it| &**it))?;
    w.i64(it.version);
    w.i64(it.timestamp_ms);
    w.varint(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::record_testing::{check_damage, check_records, hex, read_back};
    use crate::types::TopicId;

    const TOPIC: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);

    // Written by Kafka 4.3.1's own classes (`org.apache.kafka.coordinator.group.generated`).
    const RECORDS: [(&str, &str); 9] = [
        ("00030003677270", "00000000000500"),
        ("00030003677270", "0000000000050100080000000000000009"),
        (
            "0005000367727000026d31",
            "0000036931000263032f68030261026204782e2a0000ea600672616e676500",
        ),
        (
            "0005000367727000026d31",
            "000001010263032f68020261010000ea60010100110100002710020672616e67650301020000",
        ),
        ("00060003677270", "00000000000500"),
        ("00060003677270", "0000000000050100080000018bcfe56800"),
        ("0007000367727000026d31", "000002000000000000000100000000000000020300000000000000020000"),
        (
            "0008000367727000026d31",
            "00000000000500000004010200000000000000010000000000000002020000000001000502000000050200000000000000\
             0100000000000000020200000002010005020000000300",
        ),
        ("001000036772700003782e2a", "00000303786103786200000000000000070000018bcfe5680000"),
    ];
    /// Without the epochs of partitions, as versions before KIP-1251 have written it.
    const WITHOUT_EPOCHS: &str = "0000000000050000000401020000000000000001000000000000000202000000000002000000000000000100\
                                  0000000000000202000000020000";

    fn kept<T>(value: T, record_bytes: u64) -> Option<Kept<T>> {
        Some(Kept { value, record_bytes })
    }

    fn set(numbers: &[i32]) -> Partitions {
        partitions::collect([(TOPIC, numbers.to_vec())])
    }

    /// The changes that [`RECORDS`] are of; each knows the bytes of its record.
    fn changes() -> Vec<Change> {
        let m1 = || "m1".to_owned();
        let topics = |it: &[&str]| Rc::new(it.iter().map(|it| (*it).to_owned()).collect());
        let member = |topics| MemberMetadata {
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            topics,
            rebalance_timeout_ms: 60_000,
            ..MemberMetadata::default()
        };
        let full = MemberMetadata {
            instance_id: Some("i1".to_owned()),
            regex: Some("x.*".to_owned()),
            server_assignor: Some("range".to_owned()),
            ..member(topics(&["a", "b"]))
        };
        let metadata = Bytes::from_static(&[1, 2]);
        // What was never set is empty there, not null.
        let empty = || Some(String::new());
        let classic = MemberMetadata {
            instance_id: empty(),
            rack_id: empty(),
            regex: empty(),
            server_assignor: empty(),
            classic: Some(ClassicMetadata {
                session_timeout_ms: 10_000,
                protocols: vec![Protocol { name: "range".to_owned(), metadata }],
            }),
            ..member(topics(&["a"]))
        };
        let current = Current {
            epoch: 5,
            previous_epoch: 4,
            state: MemberState::UnrevokedPartitions,
            assigned: set(&[0]),
            revoking: set(&[2]),
            since: AssignedSince::new([&set(&[0]), &set(&[2])], |_, number| 5 - number),
            tasks: None,
        };
        let resolved = Resolved {
            topics: ["xa", "xb"].into_iter().map(Arc::from).collect(),
            version: 7,
            timestamp_ms: 1_700_000_000_000,
        };
        let stamped = TargetEpoch { epoch: 5, timestamp_ms: 1_700_000_000_000 };
        let epoch = |metadata_hash| Epoch { number: 5, metadata_hash, streams: None };
        let bytes = |at: usize| (hex(RECORDS[at].0).len() + hex(RECORDS[at].1).len()) as u64;
        vec![
            Change::Epoch(kept(epoch(0), bytes(0))),
            Change::Epoch(kept(epoch(9), bytes(1))),
            Change::Metadata(m1(), kept(Box::new(full), bytes(2))),
            Change::Metadata(m1(), kept(Box::new(classic), bytes(3))),
            Change::TargetEpoch(kept(TargetEpoch { epoch: 5, timestamp_ms: 0 }, bytes(4))),
            Change::TargetEpoch(kept(stamped, bytes(5))),
            Change::Target(m1(), kept(Arc::new(set(&[0, 2])), bytes(6))),
            Change::Current(m1(), kept(current, bytes(7))),
            Change::Regex("x.*".to_owned(), kept(resolved, bytes(8))),
        ]
    }

    #[test]
    fn records_are_those_of_kafka() {
        check_records(&RECORDS, &changes());
        let key = hex(RECORDS[7].0);
        let Ok(Some(Change::Current(id, Some(it)))) = read_back(&key, Some(&hex(WITHOUT_EPOCHS)))
        else {
            panic!("it is of an older version")
        };
        assert_eq!((id.as_str(), it.value.assigned), ("m1", set(&[0])));
        let since = [0, 2].map(|number| it.value.since.get(&TOPIC, number));
        assert_eq!(since, [Some(5); 2], "the member's own epoch");
    }

    #[test]
    fn damaged_records_are_errors() {
        check_damage(&RECORDS);
    }
}
