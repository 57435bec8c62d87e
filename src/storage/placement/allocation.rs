//! Space for what goes straight into segments, allocated before it is needed.
//!
//! A write into allocated space changes neither the file's length nor its name, so it is durable when
//! it and its extents are. A new segment joins its log only when its name and its space are durable: a
//! checkpoint may name every segment that a log has.

use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::format::segment::{self, Segment};
use crate::storage::interface::Slot;
use crate::storage::log::Space;
use crate::storage::logs::Logs;
use crate::types::TopicPartition;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Space is allocated in steps of this, or of what several turns like the present one need, or as
/// much as the segment has already: many logs that get little each do not take the disk.
const STEP: u64 = 1 << 20;
const TURNS: u64 = 8;
/// Under way at once.
const UNDER_WAY: usize = 16;
/// Where space could not be had, it is tried again after this time.
const TRY_AGAIN_MS: i64 = 10_000;

/// One that is under way.
#[derive(Debug)]
struct Allocation {
    slot: Slot,
    /// Of which log, by [`Log::id`](crate::storage::log::Log::id): another one may have its slot by now.
    log: u64,
    /// A new segment; otherwise the generation of the open one.
    target: Result<Box<Segment>, u64>,
    /// Bytes that the file has then.
    len: u64,
    ops: VecDeque<Op>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(in crate::storage) struct Allocations {
    under_way: BTreeMap<usize, Allocation>,
    last_number: usize,
    /// The file system cannot allocate.
    unsupported: bool,
}

/// How one ended.
#[derive(Debug)]
pub(in crate::storage) enum Ended {
    /// There is space. No one holds on to the log for it any more.
    Done(Slot),
    /// There is none, which does no harm. Whatever was made of a new segment is to be removed.
    Without(Slot, Option<Box<Segment>>),
}

impl Allocations {
    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins one for a log that wants to write `needed` bytes, or soon will, where it makes sense and
    /// takes `at_most` bytes of the disk.
    pub fn want(
        &mut self,
        now_ms: i64,
        (slot, needed): (Slot, u64),
        at_most: u64,
        logs: &mut Logs,
        generation: impl FnOnce() -> u64,
        out: &mut Outgoing,
    ) {
        let Some(log) = logs.get_mut(slot) else { return };
        let wanted = !(self.unsupported || log.busy || log.dropped || log.direct.allocating);
        if !wanted || now_ms < log.direct.not_before_ms || self.under_way.len() >= UNDER_WAY {
            return;
        }
        let (tp, whole) = (log.tp, log.config.segment_bytes);
        let step = STEP.max(TURNS * needed);
        let space = log.space_for(needed, now_ms);
        let (target, len, ops) = match (space, log.open_end()) {
            (Space::There { .. } | Space::More, Some((open, position))) => {
                let have = open.allocated.max(position);
                let len = whole.min(have + have.max(step)).max(position + needed);
                if len <= open.allocated || len - have > at_most {
                    return;
                }
                let path = open.path(tp);
                let ops =
                    VecDeque::from([Op::Allocate { path: path.clone(), len }, Op::Sync { path }]);
                (Err(open.meta.generation), len, ops)
            }
            _ => {
                let interval = log.config.index_interval_bytes;
                let len = whole.min(step).max(needed);
                if len > at_most {
                    return;
                }
                let segment = Segment::new(log.planned_end(), generation(), now_ms, interval);
                // Until it is there nobody else adds a segment.
                log.busy = true;
                let ops = operations_of_new(tp, &segment, len, log.segments.is_empty());
                (Ok(Box::new(segment)), len, ops)
            }
        };
        log.direct.allocating = true;
        self.last_number += 1;
        let mut allocation = Allocation { slot, log: log.id, target, len, ops };
        submit(self.last_number, &mut allocation, out);
        self.under_way.insert(self.last_number, allocation);
    }

    /// Takes in that an operation ended, well or without space. `None` where others follow.
    pub fn step(
        &mut self,
        now_ms: i64,
        number: usize,
        result: io::Result<()>,
        logs: &mut Logs,
        out: &mut Outgoing,
    ) -> Option<Ended> {
        let allocation = self.under_way.get_mut(&number).expect("it is under way");
        if result.is_ok() && submit(number, allocation, out) {
            return None;
        }
        let Allocation { slot, log: id, target, len, .. } =
            self.under_way.remove(&number).expect("just found");
        let log = logs.get_mut(slot).filter(|log| log.id == id)?;
        log.direct.allocating = false;
        if target.is_ok() {
            log.busy = false;
        }
        if let Err(error) = result {
            self.unsupported |= error.raw_os_error() == Some(EOPNOTSUPP);
            log.direct.not_before_ms = now_ms + TRY_AGAIN_MS;
            return Some(Ended::Without(slot, target.ok()));
        }
        match target {
            Ok(mut segment) => {
                if let Some(before) = log.segments.last_mut() {
                    before.meta.sealed = true;
                }
                segment.allocated = len;
                log.segments.push(*segment);
            }
            Err(generation) => {
                let open = log.segments.iter_mut().rfind(|s| s.meta.generation == generation);
                if let Some(open) = open {
                    open.allocated = len;
                }
            }
        }
        Some(Ended::Done(slot))
    }
}

const ENOENT: i32 = 2;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EOPNOTSUPP: i32 = 95;
const EDQUOT: i32 = 122;

/// Whether an error says that there is no space, or that the segment went meanwhile; others are the
/// disk's, and what it has done is not known.
pub(in crate::storage) fn is_want_of_space(error: &io::Error) -> bool {
    let codes = [ENOENT, EFBIG, ENOSPC, EOPNOTSUPP, EDQUOT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn operations_of_new(tp: TopicPartition, segment: &Segment, len: u64, first: bool) -> VecDeque<Op> {
    let dir: FilePath = segment::dir_of(tp);
    let path = segment.path(tp);
    let mut ops = VecDeque::new();
    if first {
        ops.push_back(Op::MakeDir { path: dir.clone() });
        ops.push_back(Op::SyncDir { path: segment::DIR.into() });
    }
    ops.push_back(Op::Create { path: path.clone() });
    ops.push_back(Op::Allocate { path: path.clone(), len });
    ops.push_back(Op::Sync { path });
    ops.push_back(Op::SyncDir { path: dir });
    ops
}

fn submit(number: usize, allocation: &mut Allocation, out: &mut Outgoing) -> bool {
    let Some(op) = allocation.ops.pop_front() else { return false };
    out.submit(Purpose::Allocation(number, op.path().clone()), op);
    true
}
