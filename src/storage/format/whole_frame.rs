//! A whole frame as a value: what a leader sends to its followers, and they store as it is.

use super::frame::{FrameError, FrameFields, FrameHeader, HEADER};
use crate::types::TopicPartition;
use crate::wire::records::{BatchHeader, batches};
use bytes::Bytes;
use zerocopy::IntoBytes;

/// A header and its payload, whose checksums hold.
#[derive(Clone, Debug)]
pub struct Frame {
    header: FrameHeader,
    payload: Bytes,
}

impl Frame {
    /// A frame that a peer has sent: everything that it says of itself is checked. Beside the checksums
    /// these are its offsets, and that its payload is whole batches of its epoch, in their order, within
    /// them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(header: &[u8], payload: Bytes) -> Result<Self, FrameError> {
        let header = FrameHeader::read(header)?;
        if payload.len() != header.frame_len() - HEADER || payload.len() > i32::MAX as usize {
            return Err(FrameError::Length { payload: payload.len() });
        }
        if !header.covers(&payload) {
            return Err(FrameError::Payload);
        }
        let frame = Self { header, payload };
        frame.check_batches()?;
        Ok(frame)
    }

    /// The frame whose bytes, header and payload, were verified before, or made here.
    pub(in crate::storage) fn of(header: FrameHeader, whole: &Bytes) -> Self {
        debug_assert_eq!(whole.len(), header.frame_len());
        Self { header, payload: whole.slice(HEADER..) }
    }

    fn check_batches(&self) -> Result<(), FrameError> {
        let header = &self.header;
        let (base, last) = (header.base_offset(), header.last_offset());
        let bad = |why| Err(FrameError::Batches(why));
        if base < 0 || last < base || last == i64::MAX || header.leader_epoch() < 0 {
            return bad("its offsets or its epoch cannot be");
        }
        let (mut count, mut next) = (0, None);
        let mut rest = batches(&self.payload);
        for (batch, _) in rest.by_ref() {
            let follows = match next {
                None if header.is_compacted() => {
                    batch.base_offset >= 0 && batch.last_offset() >= base
                }
                None => batch.base_offset == base,
                Some(next) if header.is_compacted() => batch.base_offset >= next,
                Some(next) => batch.base_offset == next,
            };
            if !follows || batch.last_offset_delta < 0 || batch.last_offset() > last {
                return bad("its batches do not follow each other");
            }
            if batch.partition_leader_epoch != header.leader_epoch() {
                return bad("a batch is of another epoch");
            }
            count += 1;
            next = Some(batch.next_offset());
        }
        if !rest.rest().is_empty() || count == 0 || count != header.batch_count() {
            return bad("its batches are not as many as it says");
        }
        if !header.is_compacted() && next != Some(last + 1) {
            return bad("its batches end elsewhere");
        }
        Ok(())
    }

    /// What of it reaches `from` or beyond, from there on: a frame of kind compacted, but for what
    /// begins there. `None` where nothing does. A batch that reaches from before `from` beyond it stays
    /// whole.
    pub(in crate::storage) fn cut_below(&self, from: i64) -> Option<Self> {
        let header = &self.header;
        if header.base_offset() == from {
            return Some(self.clone());
        }
        let (mut at, mut max_timestamp, mut batch_count) = (0, -1, 0);
        for (batch, bytes) in batches(&self.payload) {
            if batch.last_offset() < from {
                at += bytes.len();
            } else {
                batch_count += 1;
                if batch.record_count > 0 {
                    max_timestamp = batch.max_timestamp.max(max_timestamp);
                }
            }
        }
        if batch_count == 0 {
            return None;
        }
        let payload = self.payload.slice(at..);
        let fields = FrameFields {
            tp: header.tp(),
            leader_epoch: header.leader_epoch(),
            base_offset: from,
            last_offset: header.last_offset(),
            max_timestamp,
            append_time: header.append_time(),
            batch_count,
            previous_checksum: 0,
        };
        Some(Self { header: FrameHeader::compacted(&fields, &payload), payload })
    }

    /// Its header.
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// The bytes of its header, as they are sent and stored.
    pub fn header_bytes(&self) -> &[u8] {
        self.header.as_bytes()
    }

    /// Its record batches, back to back.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Whose frame.
    pub fn tp(&self) -> TopicPartition {
        self.header.tp()
    }

    /// Offset of its first record.
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset()
    }

    /// Offset after its last record.
    pub fn next_offset(&self) -> i64 {
        self.header.last_offset() + 1
    }

    /// Bytes of header and payload.
    pub fn len(&self) -> usize {
        self.header.frame_len()
    }

    /// Never: it has at least its header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The headers of its batches.
    pub fn batches(&self) -> impl Iterator<Item = BatchHeader> + '_ {
        batches(&self.payload).map(|(header, _)| header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;
    use crate::wire::records::{BatchBuilder, Compression, set_offset_and_epoch};

    const TP: TopicPartition = TopicPartition { topic: TopicId([4; 16]), partition: 2 };

    /// Batches of these base and last offsets in epoch 3, each with its base as its time.
    fn payload(batches: &[(i64, i64)]) -> Vec<u8> {
        let mut payload = Vec::new();
        for (base, last) in batches {
            let mut builder = BatchBuilder::new(Compression::None);
            for _ in *base..=*last {
                builder.push(*base, None, Some(b"value"), &[]);
            }
            let mut batch = builder.build();
            set_offset_and_epoch(&mut batch, *base, 3);
            payload.extend(batch);
        }
        payload
    }

    fn fields(base_offset: i64, last_offset: i64, batch_count: u32) -> FrameFields {
        FrameFields {
            tp: TP,
            leader_epoch: 3,
            base_offset,
            last_offset,
            max_timestamp: 5,
            append_time: 6,
            batch_count,
            previous_checksum: 9,
        }
    }

    fn read(header: &FrameHeader, payload: &[u8]) -> Result<Frame, FrameError> {
        Frame::read(header.as_bytes(), Bytes::copy_from_slice(payload))
    }

    #[test]
    fn a_frame_comes_as_it_was_sent_and_no_bit_of_it_may_change() {
        let payload = payload(&[(10, 12), (13, 13)]);
        let header = FrameHeader::seal(&fields(10, 13, 2), &payload);
        let frame = read(&header, &payload).expect("it is whole");
        assert_eq!((frame.base_offset(), frame.next_offset(), frame.tp()), (10, 14, TP));
        assert_eq!((frame.header_bytes(), &frame.payload()[..]), (header.as_bytes(), &payload[..]));
        assert_eq!(frame.batches().count(), 2);
        let whole = [header.as_bytes(), &payload].concat();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (header, payload) = bad.split_at(HEADER);
            let payload = Bytes::copy_from_slice(payload);
            assert!(Frame::read(header, payload).is_err(), "bit {bit}");
        }
        assert!(read(&header, &payload[1..]).is_err());
        assert!(Frame::read(&whole[..HEADER - 1], Bytes::new()).is_err());
    }

    #[test]
    fn what_contradicts_itself_under_sound_checksums_is_refused() {
        let three = payload(&[(10, 12), (13, 13), (14, 19)]);
        let holey = payload(&[(10, 12), (14, 19)]);
        let data = |fields: &FrameFields, payload: &[u8]| {
            read(&FrameHeader::seal(fields, payload), payload).map(|_| ())
        };
        let compacted = |fields: &FrameFields, payload: &[u8]| {
            read(&FrameHeader::compacted(fields, payload), payload).map(|_| ())
        };
        assert_eq!(data(&fields(10, 19, 3), &three), Ok(()));
        assert_eq!(compacted(&fields(10, 19, 2), &holey), Ok(()));
        assert_eq!(compacted(&fields(8, 25, 2), &holey), Ok(()), "it covers what is gone");
        for (fields, payload) in [
            (fields(10, 19, 2), &holey),
            (fields(10, 20, 3), &three),
            (fields(10, 18, 3), &three),
            (fields(9, 19, 3), &three),
            (fields(10, 19, 4), &three),
            (fields(-1, 19, 3), &three),
            (fields(10, i64::MAX, 3), &three),
            (fields(19, 10, 3), &three),
            (FrameFields { leader_epoch: 4, ..fields(10, 19, 3) }, &three),
        ] {
            assert!(matches!(data(&fields, payload), Err(FrameError::Batches(_))), "{fields:?}");
        }
        assert!(compacted(&fields(13, 19, 2), &holey).is_err(), "nothing of the first is in it");
        assert!(compacted(&fields(10, 18, 2), &holey).is_err());
        assert!(compacted(&fields(10, 19, 0), &[]).is_err());
        let turned = [&payload(&[(14, 19)])[..], &payload(&[(10, 12)])].concat();
        assert!(compacted(&fields(10, 19, 2), &turned).is_err());
    }

    #[test]
    fn a_part_of_a_frame_begins_where_it_is_asked_for() {
        let payload = payload(&[(10, 12), (13, 13), (14, 19)]);
        let frame =
            read(&FrameHeader::seal(&fields(10, 19, 3), &payload), &payload).expect("whole");
        for (from, count, newest) in
            [(5, 3, 14), (11, 3, 14), (13, 2, 14), (14, 1, 14), (16, 1, 14)]
        {
            let part = frame.cut_below(from).expect("there is some");
            let header = part.header();
            assert_eq!((header.base_offset(), header.last_offset()), (from, 19));
            assert_eq!((header.batch_count(), header.max_timestamp()), (count, newest));
            assert!(header.is_compacted() && header.previous_checksum() == 0);
            let read = Frame::read(part.header_bytes(), part.payload().clone());
            assert_eq!(read.expect("it is a frame").batches().count() as u32, count);
        }
        assert_eq!(frame.cut_below(10).expect("all of it").header_bytes(), frame.header_bytes());
        assert!(frame.cut_below(20).is_none());
    }
}
