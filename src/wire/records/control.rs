//! Making control batches: `marker` says what is in them.

use super::header::{CONTROL, TRANSACTIONAL};
use super::marker::{ABORT, COMMIT, Marker};
use super::{BatchHeader, seal, varint};

impl Marker {
    /// The control batch that ends a transaction of this producer, at offset 0.
    pub fn batch(self, producer_id: i64, producer_epoch: i16, timestamp_ms: i64) -> Vec<u8> {
        let kind = if self.commits { COMMIT } else { ABORT };
        let mut body = Vec::with_capacity(20);
        // Attributes, deltas of time and offset.
        body.extend_from_slice(&[0, 0, 0]);
        varint::put_i32(&mut body, 4);
        body.extend_from_slice(&0i16.to_be_bytes());
        body.extend_from_slice(&kind.to_be_bytes());
        varint::put_i32(&mut body, 6);
        body.extend_from_slice(&0i16.to_be_bytes());
        body.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        // No headers.
        varint::put_i32(&mut body, 0);
        let mut records = Vec::with_capacity(body.len() + 1);
        varint::put_i32(&mut records, body.len() as i32);
        records.extend_from_slice(&body);
        let header = BatchHeader {
            base_offset: 0,
            batch_length: (BatchHeader::LEN - BatchHeader::PREFIX_LEN + records.len()) as i32,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: TRANSACTIONAL | CONTROL,
            last_offset_delta: 0,
            base_timestamp: timestamp_ms,
            max_timestamp: timestamp_ms,
            producer_id,
            producer_epoch,
            base_sequence: -1,
            record_count: 1,
            marker: Some(self),
        };
        seal(&header, &records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::records;

    /// As Java's `MemoryRecords.withEndTransactionMarker` has it.
    #[test]
    fn markers_come_back_as_they_were() {
        for (commits, coordinator_epoch) in [(true, 0), (false, 7), (true, i32::MAX)] {
            let marker = Marker { commits, coordinator_epoch };
            let batch = marker.batch(5, 3, 1_234);
            let header = BatchHeader::parse(&batch).unwrap();
            header.check_crc(&batch).unwrap();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch), (5, 3));
            assert_eq!((header.base_sequence, header.max_timestamp), (-1, 1_234));
            assert_eq!(header.marker, Some(marker));
            let records = records(&batch, 1 << 10).unwrap();
            let record = records.iter().next().unwrap().unwrap();
            assert_eq!(record.key, Some(&[0, 0, 0, u8::from(commits)][..]));
            assert_eq!(record.value.unwrap()[2..], coordinator_epoch.to_be_bytes());
        }
    }

    #[test]
    fn what_is_damaged_or_of_another_kind_is_no_marker() {
        let batch = Marker { commits: true, coordinator_epoch: 1 }.batch(5, 3, 0);
        let records = &batch[BatchHeader::LEN..];
        for end in 0..records.len() - 1 {
            // The last byte counts the headers, which nobody needs.
            assert_eq!(Marker::read(&records[..end]), None, "{end}");
        }
        let mut other = records.to_vec();
        // The key follows the record's length, its attributes, two deltas, and its own length.
        other[8] = 3;
        assert_eq!(Marker::read(&other), None);
    }
}
