//! Batches of the source as batches for the target.
//!
//! A batch goes on as it came, its records compressed as they are, where its offsets are dense and all of it is wanted.
//! What is small is put together, since each batch is a request of its own; what compaction has thinned out, and what the
//! source's broker has stamped with its time, is written anew. Aborted transactions and markers are left out.

use super::translation::Run;
use crate::client::ClientError;
use crate::client::consumer::Aborted;
use crate::wire::kafka::fetch_response::PartitionData;
use crate::wire::records::{
    BatchBuilder, BatchHeader, Compression, DECOMPRESSED_BYTES_MAX, batches, records,
    set_offset_and_epoch,
};

/// Batches of this size and more are not put together with others, bytes.
const LARGE: usize = 64 << 10;

/// A batch for the target. Its producer is not set yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The batch.
    pub bytes: Vec<u8>,
    /// Where its records were: first source offset and number, in order.
    pub pieces: Vec<(i64, i64)>,
}

impl Outgoing {
    /// The runs of the batch, when the target has written it at `base`.
    pub fn runs(&self, base: i64) -> impl Iterator<Item = Run> + '_ {
        let mut to = base;
        self.pieces.iter().map(move |&(from, len)| {
            to += len;
            Run { from, to: to - len, len }
        })
    }
}

/// What an answer to a Fetch has of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// To be written, in order.
    pub batches: Vec<Outgoing>,
    /// The offset to go on with at the source.
    pub next: i64,
    /// Number of records.
    pub records: u64,
}

/// Takes what is at `position` and behind it. A batch that is put together has at most `bytes_max` bytes, unless one
/// record alone has more.
///
/// # Errors
/// [`ClientError::Damaged`].
pub fn take(
    topic: &str,
    data: &PartitionData<'_>,
    position: i64,
    bytes_max: usize,
) -> Result<Taken, ClientError> {
    let damaged = |offset: i64, why: &dyn std::fmt::Display| ClientError::Damaged {
        topic: topic.to_owned(),
        partition: data.partition_index,
        offset,
        why: why.to_string(),
    };
    let mut taken = Taken { next: position, ..Taken::default() };
    let mut aborted = Aborted::new(true, data);
    let mut small: Vec<(BatchHeader, &[u8])> = Vec::new();
    let mut small_bytes = 0;
    let mut all = batches(data.records.unwrap_or_default());
    let mut any = false;
    for (header, batch) in &mut all {
        any = true;
        let hidden = aborted.hides(&header, batch);
        if header.next_offset() <= taken.next {
            continue;
        }
        if header.is_control() || hidden || header.record_count == 0 {
            taken.next = header.next_offset();
            continue;
        }
        header.check_crc(batch).map_err(|e| damaged(header.base_offset, &e))?;
        let whole = goes_as_it_is(&header, taken.next);
        let large = whole && header.total_len() >= LARGE;
        if large || small_bytes + header.total_len() > bytes_max {
            put_together(&mut taken, &small, position, bytes_max)
                .map_err(|(at, e)| damaged(at, &e))?;
            small.clear();
            small_bytes = 0;
        }
        if large {
            pass(&mut taken, &header, batch);
        } else {
            small_bytes += header.total_len();
            small.push((header, batch));
        }
        taken.next = header.next_offset();
    }
    put_together(&mut taken, &small, position, bytes_max).map_err(|(at, e)| damaged(at, &e))?;
    if !any && !all.rest().is_empty() {
        return Err(damaged(position, &"the broker sent no whole batch"));
    }
    Ok(taken)
}

/// Whether a batch can be written as it came, but for what its header says of offsets and producer.
fn goes_as_it_is(header: &BatchHeader, position: i64) -> bool {
    header.base_offset >= position
        && header.record_count == header.last_offset_delta + 1
        && !header.is_log_append_time()
        && header.delete_horizon_ms().is_none()
}

fn pass(taken: &mut Taken, header: &BatchHeader, batch: &[u8]) {
    let mut bytes = batch.to_vec();
    set_offset_and_epoch(&mut bytes, 0, -1);
    let count = i64::from(header.record_count);
    taken.records += count as u64;
    taken.batches.push(Outgoing { bytes, pieces: vec![(header.base_offset, count)] });
}

/// Writes the records of some batches into as few as possible.
fn put_together(
    taken: &mut Taken,
    small: &[(BatchHeader, &[u8])],
    position: i64,
    bytes_max: usize,
) -> Result<(), (i64, crate::wire::records::RecordError)> {
    if let [(header, batch)] = small
        && goes_as_it_is(header, position)
    {
        pass(taken, header, batch);
        return Ok(());
    }
    let mut open: Option<(BatchBuilder, Vec<(i64, i64)>)> = None;
    for (header, batch) in small {
        let wrong = |e| (header.base_offset, e);
        let compression = header.compression().unwrap_or(Compression::None);
        let opened = records(batch, DECOMPRESSED_BYTES_MAX).map_err(wrong)?;
        for record in &opened {
            let record = record.map_err(wrong)?;
            if record.offset < position {
                continue;
            }
            let about = 32
                + record.key.map_or(0, <[u8]>::len)
                + record.value.map_or(0, <[u8]>::len)
                + record
                    .headers
                    .clone()
                    .map(|(key, value)| 10 + key.len() + value.map_or(0, <[u8]>::len))
                    .sum::<usize>();
            if open.as_ref().is_some_and(|(it, _)| it.len() + about > bytes_max) {
                close(taken, open.take());
            }
            let (builder, pieces) =
                open.get_or_insert_with(|| (BatchBuilder::new(compression), Vec::new()));
            builder.push_record(&record);
            match pieces.last_mut() {
                Some((from, len)) if *from + *len == record.offset => *len += 1,
                _ => pieces.push((record.offset, 1)),
            }
        }
    }
    close(taken, open);
    Ok(())
}

fn close(taken: &mut Taken, open: Option<(BatchBuilder, Vec<(i64, i64)>)>) {
    if let Some((builder, pieces)) = open {
        taken.records += builder.count() as u64;
        taken.batches.push(Outgoing { bytes: builder.build(), pieces });
    }
}

#[cfg(test)]
mod tests;
