//! The records of `__share_group_state`, in Kafka's own format: a key and a value, each a version (INT16) and a message of
//! that version. The version of a key is its kind: 0 is a snapshot, 1 an update of it.

use super::state::{DeliveryState, ShareState, StateBatch, Update};
use crate::types::TopicId;
use crate::wire::primitives::{Reader, WireError, Writer};

const SNAPSHOT_KEY: i16 = 0;
const UPDATE_KEY: i16 = 1;
/// The only version of both values.
const VALUE: i16 = 0;
/// The tag of `DeliveryCompleteCount` in both (KIP-1226).
const COMPLETE_TAG: u32 = 0;

type Result<T> = std::result::Result<T, WireError>;

/// Whose state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: TopicId,
    /// Partition number.
    pub partition: i32,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `ShareSnapshotKey` or `ShareUpdateKey`, after its version.
    pub key: Vec<u8>,
    /// `ShareSnapshotValue` or `ShareUpdateValue`, after its version; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Why a record of `__share_group_state` cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record of a coordinator always has a key.
    #[error("a record without key")]
    NoKey,
    /// It does not follow its format.
    #[error("it is damaged: {0}")]
    Damaged(WireError),
}

impl From<WireError> for RecordError {
    fn from(error: WireError) -> Self {
        Self::Damaged(error)
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This is the state; `None`: there is none any more.
    Snapshot(Key, Option<Box<ShareState>>),
    /// It has changed, since the snapshot of this epoch.
    Update(Key, Option<(i32, Update)>),
    /// A kind that this version does not know.
    Other,
}

/// Reads a record.
///
/// # Errors
/// It does not follow its format.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> std::result::Result<Said, RecordError> {
    let mut r = Reader::new(key.ok_or(RecordError::NoKey)?);
    let kind = r.i16()?;
    if ![SNAPSHOT_KEY, UPDATE_KEY].contains(&kind) {
        return Ok(Said::Other);
    }
    let key = Key { group: r.string(false)?.to_owned(), topic: r.uuid()?, partition: r.i32()? };
    let value = match value {
        Some(value) => {
            let mut r = Reader::new(value);
            let version = r.i16()?;
            if version != VALUE {
                return Err(WireError::UnsupportedVersion(version).into());
            }
            Some(r)
        }
        None => None,
    };
    Ok(match (kind, value) {
        (SNAPSHOT_KEY, None) => Said::Snapshot(key, None),
        (SNAPSHOT_KEY, Some(mut r)) => Said::Snapshot(key, Some(Box::new(read_snapshot(&mut r)?))),
        (_, None) => Said::Update(key, None),
        (_, Some(mut r)) => Said::Update(key, Some(read_update(&mut r)?)),
    })
}

fn read_snapshot(r: &mut Reader<'_>) -> Result<ShareState> {
    let (snapshot_epoch, state_epoch, leader_epoch) = (r.i32()?, r.i32()?, r.i32()?);
    let (start_offset, created_ms, written_ms) = (r.i64()?, r.i64()?, r.i64()?);
    let batches = read_batches(r)?;
    let delivery_complete_count = read_complete(r)?;
    let mut state = ShareState::new(snapshot_epoch, state_epoch, start_offset, created_ms);
    state.leader_epoch = leader_epoch;
    state.delivery_complete_count = delivery_complete_count;
    state.written_ms = written_ms;
    Ok(state.with_batches(&batches))
}

fn read_update(r: &mut Reader<'_>) -> Result<(i32, Update)> {
    let snapshot_epoch = r.i32()?;
    let (leader_epoch, start_offset) = (r.i32()?, r.i64()?);
    let batches = read_batches(r)?;
    let delivery_complete_count = read_complete(r)?;
    Ok((snapshot_epoch, Update { leader_epoch, start_offset, delivery_complete_count, batches }))
}

fn read_batches(r: &mut Reader<'_>) -> Result<Vec<StateBatch>> {
    r.array(true, 20, |r| {
        let (first, last, code) = (r.i64()?, r.i64()?, r.i8()?);
        let delivery_count = r.i16()?;
        r.skip_tagged_fields()?;
        // What a newer version may have made of a record is delivered again.
        let state = DeliveryState::of_code(code).unwrap_or(DeliveryState::Available);
        Ok(StateBatch { first, last, state, delivery_count })
    })
}

fn read_complete(r: &mut Reader<'_>) -> Result<i32> {
    let mut complete = -1;
    r.tagged_fields(|tag, r| {
        if tag == COMPLETE_TAG {
            complete = r.i32()?;
        }
        Ok(tag == COMPLETE_TAG)
    })?;
    Ok(complete)
}

/// The record of a snapshot; a tombstone of none.
///
/// # Errors
/// Something is longer than Kafka's records can hold.
pub fn snapshot(key: &Key, state: Option<&ShareState>) -> Result<Record> {
    let Some(state) = state else {
        return Ok(Record { key: write_key(SNAPSHOT_KEY, key)?, value: None });
    };
    let batches: Vec<StateBatch> = state.batches().collect();
    let mut w = Writer::with_capacity(64 + 20 * batches.len());
    w.i16(VALUE);
    w.i32(state.snapshot_epoch);
    w.i32(state.state_epoch);
    w.i32(state.leader_epoch);
    w.i64(state.start_offset);
    w.i64(state.created_ms);
    w.i64(state.written_ms);
    write_batches(&mut w, &batches)?;
    write_complete(&mut w, state.delivery_complete_count)?;
    Ok(Record { key: write_key(SNAPSHOT_KEY, key)?, value: Some(w.into_vec()) })
}

/// The record of an update of the snapshot of this epoch; a tombstone of none.
///
/// # Errors
/// Something is longer than Kafka's records can hold.
pub fn update(key: &Key, update: Option<(i32, &Update)>) -> Result<Record> {
    let Some((snapshot_epoch, update)) = update else {
        return Ok(Record { key: write_key(UPDATE_KEY, key)?, value: None });
    };
    let mut w = Writer::with_capacity(32 + 20 * update.batches.len());
    w.i16(VALUE);
    w.i32(snapshot_epoch);
    w.i32(update.leader_epoch);
    w.i64(update.start_offset);
    write_batches(&mut w, &update.batches)?;
    write_complete(&mut w, update.delivery_complete_count)?;
    Ok(Record { key: write_key(UPDATE_KEY, key)?, value: Some(w.into_vec()) })
}

fn write_key(kind: i16, key: &Key) -> Result<Vec<u8>> {
    let mut w = Writer::with_capacity(24 + key.group.len());
    w.i16(kind);
    w.string(&key.group, false)?;
    w.uuid(key.topic);
    w.i32(key.partition);
    Ok(w.into_vec())
}

fn write_batches(w: &mut Writer, batches: &[StateBatch]) -> Result<()> {
    w.array(batches, true, |w, it| {
        w.i64(it.first);
        w.i64(it.last);
        w.i8(it.state.code());
        w.i16(it.delivery_count);
        w.varint(0);
        Ok(())
    })
}

fn write_complete(w: &mut Writer, complete: i32) -> Result<()> {
    if complete == -1 {
        w.varint(0);
        return Ok(());
    }
    w.varint(1);
    w.tagged_field(COMPLETE_TAG, |w| {
        w.i32(complete);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn key() -> Key {
        Key { group: "g".to_owned(), topic: TopicId([1; 16]), partition: 2 }
    }

    fn batches() -> Vec<StateBatch> {
        let batch =
            |first, last, state, delivery_count| StateBatch { first, last, state, delivery_count };
        vec![
            batch(10, 12, DeliveryState::Available, 1),
            batch(13, 13, DeliveryState::Acknowledged, 2),
            batch(14, 20, DeliveryState::Archived, 3),
        ]
    }

    // Written by Kafka 4.3.1's own classes (`org.apache.kafka.coordinator.share.generated`).
    const SNAPSHOT: (&str, &str) = (
        "00000001670101010101010101010101010101010100000002",
        "0000000000040000000500000006000000000000000a0000018bcfe568000000018bcfe568010400\
         0000000000000a000000000000000c00000100000000000000000d000000000000000d0200020000\
         0000000000000e00000000000000140400030001000400000008",
    );
    const UPDATE: (&str, &str) = (
        "00010001670101010101010101010101010101010100000002",
        "00000000000400000006ffffffffffffffff04000000000000000a000000000000000c0000010000\
         0000000000000d000000000000000d02000200000000000000000e00000000000000140400030000",
    );

    fn hex(record: &Record) -> (String, String) {
        let value = record.value.as_deref().unwrap_or_default();
        (HEXLOWER.encode(&record.key), HEXLOWER.encode(value))
    }

    #[test]
    fn records_are_kafkas() {
        let mut state = ShareState::new(4, 5, 10, 1_700_000_000_000).with_batches(&batches());
        state.leader_epoch = 6;
        state.delivery_complete_count = 8;
        state.written_ms = 1_700_000_000_001;
        let record = snapshot(&key(), Some(&state)).unwrap();
        assert_eq!(hex(&record), (SNAPSHOT.0.to_owned(), SNAPSHOT.1.to_owned()));
        let said = read(Some(&record.key), record.value.as_deref()).unwrap();
        assert_eq!(said, Said::Snapshot(key(), Some(Box::new(state))));
        let change = Update {
            leader_epoch: 6,
            start_offset: -1,
            delivery_complete_count: -1,
            batches: batches(),
        };
        let record = update(&key(), Some((4, &change))).unwrap();
        assert_eq!(hex(&record), (UPDATE.0.to_owned(), UPDATE.1.to_owned()));
        let said = read(Some(&record.key), record.value.as_deref()).unwrap();
        assert_eq!(said, Said::Update(key(), Some((4, change))));
    }

    #[test]
    fn tombstones_and_what_is_damaged() {
        for (record, said) in [
            (snapshot(&key(), None).unwrap(), Said::Snapshot(key(), None)),
            (update(&key(), None).unwrap(), Said::Update(key(), None)),
        ] {
            assert_eq!(read(Some(&record.key), None), Ok(said));
            for cut in 0..record.key.len() {
                assert!(read(Some(&record.key[..cut]), None).is_err(), "{cut}");
            }
        }
        assert_eq!(read(None, None), Err(RecordError::NoKey));
        assert_eq!(read(Some(&[0, 77]), None), Ok(Said::Other));
        let record = snapshot(&key(), None).unwrap();
        let newer = read(Some(&record.key), Some(&[0, 9]));
        assert_eq!(newer, Err(WireError::UnsupportedVersion(9).into()));
    }
}
