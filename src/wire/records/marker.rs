//! What a control batch says: where a transaction ends (`ControlRecordType`, `EndTransactionMarker` of Kafka 4.3).
//!
//! One record, never compressed. Its key is version and type (INT16 each; 0 aborts, 1 commits, others are of
//! the metadata log), its value version (INT16) and coordinator epoch (INT32).

use super::RecordError;
use super::varint;

/// The end of a producer's transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// What it has written is valid; otherwise it is aborted.
    pub commits: bool,
    /// Epoch of the coordinator that has decided: the leader epoch of its partition.
    pub coordinator_epoch: i32,
}

pub(super) const ABORT: i16 = 0;
pub(super) const COMMIT: i16 = 1;

impl Marker {
    /// Reads the marker of a control batch from its records; `None` where they are something else.
    #[cold]
    pub(super) fn read(records: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut byte = || {
            let byte = records.get(at).copied().ok_or(RecordError::Malformed("it ends early"));
            at += 1;
            byte
        };
        let _length = varint::read_i32(&mut byte).ok()?;
        let _attributes = byte().ok()?;
        let _timestamp_delta = varint::read_i64(&mut byte).ok()?;
        let _offset_delta = varint::read_i32(&mut byte).ok()?;
        let key_len = usize::try_from(varint::read_i32(&mut byte).ok()?).ok()?;
        let key = records.get(at..)?.get(..key_len)?;
        at += key_len;
        let mut byte = || {
            let byte = records.get(at).copied().ok_or(RecordError::Malformed("it ends early"));
            at += 1;
            byte
        };
        let _value_len = varint::read_i32(&mut byte).ok()?;
        let value = records.get(at..)?;
        let kind = i16::from_be_bytes(*key.get(2..)?.first_chunk()?);
        let coordinator_epoch = i32::from_be_bytes(*value.get(2..)?.first_chunk()?);
        match kind {
            ABORT | COMMIT => Some(Self { commits: kind == COMMIT, coordinator_epoch }),
            _ => None,
        }
    }
}
