//! Runs of frames that the journal says to stand in a segment.

use super::open_error::OpenError;
use crate::storage::buffer::{ALIGN, align_up};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{FilePath, Op};
use crate::storage::format::block::Run;
use crate::storage::format::checkpoint::{self, LogRecord};
use crate::storage::format::frame::{self, FrameHeader, Step};
use crate::storage::format::segment::{self, Grown, Segment};
use crate::types::TopicPartition;
use crate::wire::records::{BatchHeader, batches};
use bytes::Bytes;

/// Frames that stand in a segment, as far as no truncation took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveRun {
    /// Where they are.
    pub run: Run,
    /// Frames at or beyond this offset are gone.
    pub upto: i64,
}

/// What stands where a run should.
#[derive(Debug)]
pub enum Stored {
    /// Its frames, whole: headers with positions in the bytes.
    Whole(Bytes, Vec<(usize, FrameHeader)>),
    /// Something else; why.
    Other(String),
    /// The file is not there, or ends before.
    Missing(FilePath),
}

/// Adds runs to a log's segments, those that its record does not have: the headers of their batches, and what is
/// damaged, if anything is. A run whose file is gone was deleted, if all of it lies below the log start.
///
/// A run that is not where it was durably counts as if it were: the log has its offsets, and reading there fails.
/// But its batches are not known, and so the log's state is not.
pub fn place(
    disk: &Disk,
    record: &mut LogRecord,
    runs: impl Iterator<Item = LiveRun>,
) -> Result<(Vec<BatchHeader>, Option<String>), OpenError> {
    let tp = record.tp;
    let (mut found, mut damage) = (Vec::new(), None);
    let mut open: Option<Segment> = None;
    for LiveRun { run, upto } in runs.filter(|live| live.run.first < live.upto) {
        if run.first < record.placed_end {
            continue;
        }
        let (bytes, headers) = match read(disk, tp, &run)? {
            Stored::Whole(bytes, headers) => (bytes, headers),
            Stored::Missing(_) if upto <= record.start => {
                (record.placed_end, record.placed_checksum) = (upto, 0);
                continue;
            }
            Stored::Missing(path) => {
                damage.get_or_insert(format!("{path} is missing or too short"));
                (Bytes::new(), Vec::new())
            }
            Stored::Other(why) => {
                damage.get_or_insert(why);
                (Bytes::new(), Vec::new())
            }
        };
        let headers: Vec<_> = headers.into_iter().filter(|(_, h)| h.base_offset() < upto).collect();
        let first = headers.first().map(|it| it.1);
        if first.is_none() && damage.is_none() {
            continue;
        }
        let follows = run.first == record.placed_end || run.first <= record.start;
        let chained = record.placed_checksum == 0
            || first.is_none_or(|it| it.previous_checksum() == 0)
            || first.is_none_or(|it| it.previous_checksum() == record.placed_checksum);
        if !follows || (run.first == record.placed_end && !chained) {
            let end = record.placed_end;
            damage.get_or_insert(format!("offset {end} should follow, a run has {}", run.first));
        }
        let is_open = |s: &Segment| s.meta.generation == run.generation;
        if !open.as_ref().is_some_and(is_open) {
            if let Some(mut before) = open.take() {
                before.meta.sealed = true;
                record.segments.push(checkpoint::describe(&before));
            }
            let last = record.segments.last().filter(|(meta, _)| meta.generation == run.generation);
            open = Some(if last.is_some() {
                checkpoint::segment_of(&record.segments.pop().expect("just looked at"))
            } else {
                if let Some((before, _)) = record.segments.last_mut() {
                    before.sealed = true;
                }
                let before = record.segments.last().map_or(0, |(meta, _)| meta.last_append);
                let first_append = first.map_or(before, |it| it.append_time());
                Segment::new(run.segment, run.generation, first_append, 0)
            });
        }
        let segment = open.as_mut().expect("just opened");
        if segment.meta.length != run.position {
            let path = segment.path(tp);
            damage.get_or_insert(format!(
                "a run at byte {} of {path}, which should have {} bytes before it",
                run.position, segment.meta.length
            ));
            segment.meta.length = segment.meta.length.max(run.position);
        }
        segment.meta.sealed |= upto < run.next;
        let Some((last_at, last)) = headers.last() else {
            let meta = &mut segment.meta;
            meta.length = run.position + align_up(run.length) as u64;
            meta.next = upto.min(run.next).max(meta.next);
            (record.placed_end, record.placed_checksum) = (meta.next, 0);
            continue;
        };
        let bytes_in_file = align_up(last_at + last.frame_len()) as u64;
        segment.grow(&Grown::of(headers.iter().map(|(_, header)| *header), bytes_in_file));
        record.placed_end = last.last_offset() + 1;
        record.placed_checksum = last.chain_checksum();
        for (at, header) in &headers {
            let frame = &bytes[*at..at + header.frame_len()];
            let batches = batches(&frame[frame::HEADER..]).map(|(batch, _)| batch);
            found.extend(batches.filter(|batch| batch.next_offset() > record.state_end));
        }
    }
    if let Some(segment) = open {
        record.segments.push(checkpoint::describe(&segment));
    }
    Ok((found, damage))
}

/// Reads a run.
pub fn read(disk: &Disk, tp: TopicPartition, run: &Run) -> Result<Stored, OpenError> {
    let path = segment::path_of(tp, run.segment, run.generation);
    let failed = |e: std::io::Error| OpenError::io(&path, &e);
    let end = run.position + align_up(run.length) as u64;
    if disk.len(&path).map_err(failed)?.is_none_or(|len| len < end) {
        return Ok(Stored::Missing(path));
    }
    let other = |why: String| Ok(Stored::Other(format!("{path} at byte {}: {why}", run.position)));
    if !run.position.is_multiple_of(ALIGN as u64) {
        return other("a run must be aligned".into());
    }
    let op = Op::Read { path: path.clone(), pos: run.position, len: align_up(run.length) };
    let bytes = disk.run(op).map_err(failed)?;
    let bytes = bytes.slice(..run.length.min(bytes.len()));
    let (mut headers, mut next, mut end) = (Vec::new(), run.first, 0);
    for step in frame::walk(&bytes, run.position, 0) {
        match step {
            Step::Frame { at, header } => {
                if header.tp() != tp || header.base_offset() != next || at != end {
                    return other(format!("offset {next} should follow"));
                }
                next = header.last_offset() + 1;
                end = at + header.frame_len();
                headers.push((at, header));
            }
            Step::Cut { .. } => return other("a frame is cut".into()),
            Step::Bad { error, .. } => return other(error.to_string()),
        }
    }
    let last = headers.last().map(|(_, header)| header.header_checksum());
    if next != run.next || end != run.length || last != Some(run.checksum) {
        return other(format!("the frames up to offset {} should stand there", run.next));
    }
    Ok(Stored::Whole(bytes, headers))
}
