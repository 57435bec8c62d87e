//! The records of `__transaction_state`, in Kafka's own format (`TransactionLogKey`, `TransactionLogValue`):
//! a key and a value, each a version (INT16) and a message of that version.

use super::request::Partition;
use super::state::State;
use crate::wire::primitives::{Reader, WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const KEY: i16 = 0;
/// The first version with tagged fields, which Kafka writes from transaction.version 1 on.
const VALUE: i16 = 1;

const PREVIOUS_PRODUCER_ID: u32 = 0;
const NEXT_PRODUCER_ID: u32 = 1;
const CLIENT_TRANSACTION_VERSION: u32 = 2;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `TransactionLogKey`, after its version.
    pub key: Vec<u8>,
    /// `TransactionLogValue`, after its version; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Why a record of `__transaction_state` cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record of a coordinator always has a key.
    #[error("a record without key")]
    NoKey,
    /// The key does not follow its format.
    #[error("the key is damaged: {0}")]
    Key(WireError),
    /// The value does not follow its format.
    #[error("the value is damaged: {0}")]
    Value(WireError),
    /// A state that this version does not know.
    #[error("the state {0} is not known")]
    State(i8),
}

/// What is known of a transactional id, as a record holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub producer_id: i64,
    /// The one before, where the epochs of that were used up; -1.
    pub previous_id: i64,
    /// The one to come when the transaction has ended; -1.
    pub next_id: i64,
    pub epoch: i16,
    pub timeout_ms: i32,
    pub state: State,
    pub partitions: BTreeSet<Partition>,
    /// By the wall's clock.
    pub last_update_ms: i64,
    /// By the wall's clock; -1 for none.
    pub start_ms: i64,
    /// `transaction.version` of the client.
    pub version: i16,
}

/// The id that a key names; `None` for a kind that this version does not know.
pub(super) fn read_key(bytes: &[u8]) -> Result<Option<&str>, RecordError> {
    let mut r = Reader::new(bytes);
    let mut read = || match r.i16()? {
        KEY => r.string(false).map(Some),
        _ => Ok(None),
    };
    read().map_err(RecordError::Key)
}

/// The record of an id; `None` forgets it.
pub(super) fn record(id: &str, value: Option<&Value>) -> Result<Record, WireError> {
    let mut key = Writer::with_capacity(4 + id.len());
    key.i16(KEY);
    key.string(id, false)?;
    let value = value.map(Value::write).transpose()?;
    Ok(Record { key: key.into_vec(), value })
}

impl Value {
    /// Reads a value of any version.
    pub fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let (value, state) = Self::decode(&mut Reader::new(bytes)).map_err(RecordError::Value)?;
        // One that was about to be forgotten or fenced when a record was written has none of its own.
        let state = State::from_number(state).ok_or(RecordError::State(state))?;
        Ok(Self { state, ..value })
    }

    fn decode(r: &mut Reader<'_>) -> Result<(Self, i8), WireError> {
        let version = r.i16()?;
        if !(0..=VALUE).contains(&version) {
            return Err(WireError::UnsupportedVersion(version));
        }
        let flexible = version >= 1;
        let (producer_id, epoch, timeout_ms, state) = (r.i64()?, r.i16()?, r.i32()?, r.i8()?);
        let mut partitions = BTreeSet::new();
        for _ in 0..r.array_len(flexible, 3)?.unwrap_or(0) {
            let topic = Arc::<str>::from(r.string(flexible)?);
            for _ in 0..r.array_len(flexible, 4)?.unwrap_or(0) {
                partitions.insert((topic.clone(), r.i32()?));
            }
            if flexible {
                r.skip_tagged_fields()?;
            }
        }
        let (last_update_ms, start_ms) = (r.i64()?, r.i64()?);
        let (mut previous_id, mut next_id, mut client) = (-1, -1, 0);
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    PREVIOUS_PRODUCER_ID => previous_id = r.i64()?,
                    NEXT_PRODUCER_ID => next_id = r.i64()?,
                    CLIENT_TRANSACTION_VERSION => client = r.i16()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        let value = Self {
            producer_id,
            previous_id,
            next_id,
            epoch,
            timeout_ms,
            state: State::Empty,
            partitions,
            last_update_ms,
            start_ms,
            version: client,
        };
        Ok((value, state))
    }

    fn write(&self) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::new();
        w.i16(VALUE);
        w.i64(self.producer_id);
        w.i16(self.epoch);
        w.i32(self.timeout_ms);
        w.i8(self.state.number());
        if self.state == State::Empty {
            w.array_len(None, true)?;
        } else {
            let mut topics = BTreeMap::<&str, Vec<i32>>::new();
            for (topic, partition) in &self.partitions {
                topics.entry(topic).or_default().push(*partition);
            }
            w.array_len(Some(topics.len()), true)?;
            for (topic, partitions) in topics {
                w.string(topic, true)?;
                w.array_len(Some(partitions.len()), true)?;
                partitions.iter().for_each(|it| w.i32(*it));
                w.varint(0);
            }
        }
        w.i64(self.last_update_ms);
        w.i64(self.start_ms);
        let (previous, next) = (self.previous_id != -1, self.next_id != -1);
        let client = self.version != 0;
        w.varint(u32::from(previous) + u32::from(next) + u32::from(client));
        for (is_there, tag, id) in [
            (previous, PREVIOUS_PRODUCER_ID, self.previous_id),
            (next, NEXT_PRODUCER_ID, self.next_id),
        ] {
            if is_there {
                w.tagged_field(tag, |w| {
                    w.i64(id);
                    Ok(())
                })?;
            }
        }
        if client {
            w.tagged_field(CLIENT_TRANSACTION_VERSION, |w| {
                w.i16(self.version);
                Ok(())
            })?;
        }
        Ok(w.into_vec())
    }

    /// Memory that it takes beside its own size, about, bytes.
    pub fn bytes(&self) -> usize {
        self.partitions.len() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let topic: Arc<str> = "t".into();
        let value = Value {
            producer_id: 77,
            previous_id: 5,
            next_id: -1,
            epoch: 9,
            timeout_ms: 60_000,
            state: State::PrepareAbort,
            partitions: [(topic.clone(), 0), (topic, 7), ("other".into(), 1)].into(),
            last_update_ms: 1_000,
            start_ms: 900,
            version: 2,
        };
        let record = record("id", Some(&value)).unwrap();
        assert_eq!(read_key(&record.key), Ok(Some("id")));
        assert_eq!(Value::read(&record.value.unwrap()), Ok(value));
    }

    /// What Kafka before transaction.version 1 has written.
    #[test]
    fn reads_version_0() {
        let mut w = Writer::new();
        w.i16(0);
        w.i64(3);
        w.i16(1);
        w.i32(500);
        w.i8(1);
        w.array_len(Some(1), false).unwrap();
        w.string("t", false).unwrap();
        w.array_len(Some(2), false).unwrap();
        w.i32(4);
        w.i32(5);
        w.i64(20);
        w.i64(10);
        let value = Value::read(w.as_slice()).unwrap();
        assert_eq!(
            (value.producer_id, value.state, value.partitions.len()),
            (3, State::Ongoing, 2)
        );
        assert_eq!((value.start_ms, value.version, value.previous_id), (10, 0, -1));
        assert_eq!(read_key(&[0, 9]), Ok(None), "a kind of later versions");
        assert!(matches!(Value::read(&[0, 5]), Err(RecordError::Value(_))));
    }
}
