//! Segments made of recycled files, for runs that go there past the journal.
//!
//! A segment joins its log only when its name is durable, and its file's old one gone: a checkpoint
//! may name every segment that a log has, and a start looks for a run under that name.

use super::{Placement, recycling};
use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::format::segment::{self, Segment};
use crate::storage::interface::Slot;
use crate::storage::logs::Logs;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Under way at once.
const UNDER_WAY: usize = 16;

/// One that is under way.
#[derive(Debug)]
struct Renewal {
    slot: Slot,
    segment: Box<Segment>,
    /// What its file was called.
    file: FilePath,
    ops: VecDeque<Op>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(in crate::storage) struct Renewals {
    under_way: BTreeMap<usize, Renewal>,
    last_number: usize,
}

/// How one ended.
#[derive(Debug)]
pub(in crate::storage) struct Ended {
    /// Nobody holds on to this log for it any more.
    pub slot: Slot,
    /// There is no space, not for names either, which does no harm. The file, by one of these names,
    /// is to be removed.
    pub without: Option<(Box<Segment>, FilePath)>,
}

impl Renewals {
    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins a new segment for a log, if there is a file for it.
    pub fn want(
        &mut self,
        now_ms: i64,
        slot: Slot,
        logs: &mut Logs,
        placement: &mut Placement,
        out: &mut Outgoing,
    ) {
        let Some(log) = logs.get_mut(slot).filter(|log| !(log.busy || log.dropped)) else { return };
        if self.under_way.len() >= UNDER_WAY {
            return;
        }
        let whole = log.config.segment_bytes;
        let Some((file, bytes)) = placement.recycled.take(whole) else { return };
        let (base, interval) = (log.planned_end(), log.config.index_interval_bytes);
        let mut segment = Segment::new(base, placement.new_generation(), now_ms, interval);
        segment.prewritten = bytes;
        // Until it is there nobody else adds a segment.
        log.busy = true;
        let mut ops: VecDeque<Op> = VecDeque::new();
        let dir = segment::dir_of(log.tp);
        if log.segments.is_empty() {
            ops.push_back(Op::MakeDir { path: dir.clone() });
            ops.push_back(Op::SyncDir { path: segment::DIR.into() });
        }
        ops.push_back(Op::Rename { from: file.clone(), to: segment.path(log.tp) });
        ops.push_back(Op::SyncDir { path: dir });
        ops.push_back(Op::SyncDir { path: recycling::DIR.into() });
        self.last_number += 1;
        let mut renewal = Renewal { slot, segment: Box::new(segment), file, ops };
        submit(self.last_number, &mut renewal, out);
        self.under_way.insert(self.last_number, renewal);
    }

    /// Takes in that an operation ended, well or without space. `None` where others follow.
    pub fn step(
        &mut self,
        number: usize,
        result: io::Result<()>,
        logs: &mut Logs,
        out: &mut Outgoing,
    ) -> Option<Ended> {
        let renewal = self.under_way.get_mut(&number).expect("it is under way");
        if result.is_ok() && submit(number, renewal, out) {
            return None;
        }
        let renewal = self.under_way.remove(&number).expect("just found");
        let Renewal { slot, segment, file, .. } = renewal;
        let log = logs.log_mut(slot);
        log.busy = false;
        if result.is_err() {
            return Some(Ended { slot, without: Some((segment, file)) });
        }
        if let Some(before) = log.segments.last_mut() {
            before.meta.sealed = true;
        }
        log.segments.push(*segment);
        Some(Ended { slot, without: None })
    }
}

fn submit(number: usize, renewal: &mut Renewal, out: &mut Outgoing) -> bool {
    let Some(op) = renewal.ops.pop_front() else { return false };
    let path: FilePath = op.path().clone();
    out.submit(Purpose::Renewal(number, path), op);
    true
}
