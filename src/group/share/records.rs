//! The records of share groups, in Kafka's own format: see [`records`](crate::group::records).

use std::rc::Rc;
use std::sync::Arc;

use super::topics::{ShareTopic, ShareTopics};
use crate::group::consumer::change::{Change, Epoch, Kept};
use crate::group::consumer::member::{Current, MemberMetadata, MemberState};
use crate::group::consumer::records::{
    self, read_partitions, read_target_epoch, write_partitions, write_target_epoch,
};
use crate::group::records::{
    Record, RecordError, SHARE_CURRENT_KEY, SHARE_EPOCH_KEY, SHARE_MEMBER_KEY, SHARE_STATES_KEY,
    SHARE_TARGET_EPOCH_KEY, SHARE_TARGET_KEY,
};
use crate::wire::primitives::{Reader, WireError, Writer};

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

/// Reads a value that has no tagged fields.
fn kept<T>(
    value: Option<&[u8]>,
    record_bytes: u64,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T>,
) -> Result<Option<Kept<T>>> {
    records::kept(value, record_bytes, |r| {
        let value = read(r)?;
        r.skip_tagged_fields()?;
        Ok(value)
    })
}

fn decode(
    kind: i16,
    part: String,
    value: Option<&[u8]>,
    record_bytes: u64,
) -> Result<Option<Change>> {
    Ok(Some(match kind {
        SHARE_EPOCH_KEY => Change::Epoch(kept(value, record_bytes, |r| {
            Ok(Epoch { number: r.i32()?, metadata_hash: r.i64()?, streams: None })
        })?),
        SHARE_MEMBER_KEY => Change::Metadata(part, kept(value, record_bytes, read_member)?),
        SHARE_TARGET_EPOCH_KEY => {
            Change::TargetEpoch(records::kept(value, record_bytes, read_target_epoch)?)
        }
        SHARE_TARGET_KEY => {
            let target = kept(value, record_bytes, |r| Ok(Arc::new(read_partitions(r)?)))?;
            Change::Target(part, target)
        }
        SHARE_CURRENT_KEY => Change::Current(part, kept(value, record_bytes, read_current)?),
        SHARE_STATES_KEY => Change::ShareTopics(kept(value, record_bytes, read_topics)?),
        _ => return Ok(None),
    }))
}

fn read_member(r: &mut Reader<'_>) -> Result<Box<MemberMetadata>> {
    let rack_id = r.nullable_string(true)?.map(str::to_owned);
    let (client_id, client_host) = (r.string(true)?.to_owned(), r.string(true)?.to_owned());
    let topics = Rc::new(records::names(r)?);
    Ok(Box::new(MemberMetadata {
        rack_id,
        client_id,
        client_host,
        topics,
        ..MemberMetadata::default()
    }))
}

fn read_current(r: &mut Reader<'_>) -> Result<Current> {
    let (epoch, previous_epoch, state) = (r.i32()?, r.i32()?, MemberState::of_code(r.i8()?));
    let assigned = read_partitions(r)?;
    Ok(Current { epoch, previous_epoch, state, assigned, ..Current::default() })
}

/// Kafka also writes which states are being begun or deleted: that is tried anew.
fn read_topics(r: &mut Reader<'_>) -> Result<Arc<ShareTopics>> {
    let mut topics = ShareTopics::new();
    for begun in [false, true] {
        let all = r.array(true, 19, |r| {
            let (id, name) = (r.uuid()?, r.string(true)?.to_owned());
            let mut numbers = r.array(true, 4, Reader::i32)?;
            r.skip_tagged_fields()?;
            numbers.sort_unstable();
            let partitions = numbers.iter().zip(0..).take_while(|(it, at)| *it == at).count();
            Ok((id, ShareTopic { name, partitions: partitions as i32 }))
        })?;
        topics.extend(all.into_iter().filter(|_| begun));
    }
    r.array(true, 18, |r| {
        r.uuid()?;
        r.string(true)?;
        r.skip_tagged_fields()
    })?;
    Ok(Arc::new(topics))
}

/// The record of a change of this group; its bytes are entered into the change.
///
/// # Errors
/// Something is longer than Kafka's records can hold, or no share group has it.
pub fn record(group: &str, change: &mut Change) -> Result<Record> {
    match change {
        Change::Epoch(kept) => untagged(SHARE_EPOCH_KEY, group, None, kept, |w, it| {
            w.i32(it.number);
            w.i64(it.metadata_hash);
            Ok(())
        }),
        Change::Metadata(id, kept) => {
            untagged(SHARE_MEMBER_KEY, group, Some(id), kept, |w, it| write_member(w, it))
        }
        Change::TargetEpoch(kept) => {
            records::written(SHARE_TARGET_EPOCH_KEY, group, None, kept, write_target_epoch)
        }
        Change::Target(id, kept) => {
            untagged(SHARE_TARGET_KEY, group, Some(id), kept, |w, it| write_partitions(w, it))
        }
        Change::Current(id, kept) => {
            untagged(SHARE_CURRENT_KEY, group, Some(id), kept, write_current)
        }
        Change::ShareTopics(kept) => {
            untagged(SHARE_STATES_KEY, group, None, kept, |w, it| write_topics(w, it))
        }
        Change::Regex(..) | Change::Topology(_) | Change::Tasks(..) => Err(WireError::Null),
    }
}

/// A record whose value has no tagged fields.
fn untagged<T>(
    kind: i16,
    group: &str,
    part: Option<&str>,
    kept: &mut Option<Kept<T>>,
    write: impl FnOnce(&mut Writer, &T) -> Result<()>,
) -> Result<Record> {
    records::written(kind, group, part, kept, |w, it| {
        write(w, it)?;
        w.varint(0);
        Ok(())
    })
}

fn write_member(w: &mut Writer, it: &MemberMetadata) -> Result<()> {
    w.nullable_string(it.rack_id.as_deref(), true)?;
    w.string(&it.client_id, true)?;
    w.string(&it.client_host, true)?;
    records::write_names(w, it.topics.iter().map(String::as_str))
}

fn write_current(w: &mut Writer, it: &Current) -> Result<()> {
    w.i32(it.epoch);
    w.i32(it.previous_epoch);
    w.i8(it.state.code());
    write_partitions(w, &it.assigned)
}

fn write_topics(w: &mut Writer, topics: &ShareTopics) -> Result<()> {
    // None that are being begun.
    w.array_len(Some(0), true)?;
    w.array_len(Some(topics.len()), true)?;
    for (id, topic) in topics {
        w.uuid(*id);
        w.string(&topic.name, true)?;
        w.array_len(Some(topic.partitions as usize), true)?;
        (0..topic.partitions).for_each(|it| w.i32(it));
        w.varint(0);
    }
    // None that are being deleted.
    w.array_len(Some(0), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::change::TargetEpoch;
    use crate::group::consumer::partitions;
    use crate::group::consumer::record_testing::{check_damage, check_records, hex};
    use crate::group::records::Key;
    use crate::types::TopicId;

    const TOPIC: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);

    // Written by Kafka 4.3.1's own classes (`org.apache.kafka.coordinator.group.generated`).
    const RECORDS: [(&str, &str); 5] = [
        ("000b0003677270", "000000000005000000000000000900"),
        ("000a000367727000026d31", "000002720263032f68030261026200"),
        ("000c0003677270", "00000000000500"),
        ("000d000367727000026d31", "000002000000000000000100000000000000020300000000000000020000"),
        (
            "000e000367727000026d31",
            "000000000005000000040002000000000000000100000000000000020300000000000000020000",
        ),
    ];
    /// With one topic whose states are being deleted.
    const STATES: &str = "000001020000000000000001000000000000000202610400000000000000010000000200020000000000000001000000\
                          000000000202620000";

    fn kept<T>(value: T, at: usize) -> Option<Kept<T>> {
        let record_bytes = (hex(RECORDS[at].0).len() + hex(RECORDS[at].1).len()) as u64;
        Some(Kept { value, record_bytes })
    }

    #[test]
    fn records_are_kafkas() {
        let m1 = || "m1".to_owned();
        let set = || partitions::collect([(TOPIC, vec![0, 2])]);
        let member = MemberMetadata {
            rack_id: Some("r".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            topics: Rc::new(["a".to_owned(), "b".to_owned()].into()),
            ..MemberMetadata::default()
        };
        let current =
            Current { epoch: 5, previous_epoch: 4, assigned: set(), ..Current::default() };
        let changes = [
            Change::Epoch(kept(Epoch { number: 5, metadata_hash: 9, streams: None }, 0)),
            Change::Metadata(m1(), kept(Box::new(member), 1)),
            Change::TargetEpoch(kept(TargetEpoch { epoch: 5, timestamp_ms: 0 }, 2)),
            Change::Target(m1(), kept(Arc::new(set()), 3)),
            Change::Current(m1(), kept(current, 4)),
        ];
        check_records(&RECORDS, &changes);
        check_damage(&RECORDS);
    }

    #[test]
    fn topics_with_states_are_kafkas() {
        let key = hex("000f0003677270");
        let Ok(Key::Consumer { kind, part: "", .. }) = Key::read(&key) else { panic!("{key:?}") };
        let found = read(kind, "", key.len(), Some(&hex(STATES))).unwrap();
        let topic = ShareTopic { name: "a".to_owned(), partitions: 3 };
        let Some(Change::ShareTopics(Some(it))) = found else { panic!("{found:?}") };
        assert_eq!(*it.value, ShareTopics::from([(TOPIC, topic)]));
        let mut change = Change::ShareTopics(Some(it.clone()));
        let written = record("grp", &mut change).unwrap();
        assert_eq!(written.key, key);
        let again = read(kind, "", key.len(), written.value.as_deref()).unwrap();
        let Some(Change::ShareTopics(Some(again))) = again else { panic!("{again:?}") };
        assert_eq!(again.value, it.value);
    }
}
