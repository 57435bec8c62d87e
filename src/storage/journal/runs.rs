//! Which frames of a block go past it, straight into their log's open segment; see [`direct`].
//!
//! [`direct`]: crate::storage::direct

use super::plan::BlockPlan;
use crate::storage::format::segment::padded;
use crate::storage::interface::Slot;
use crate::storage::log::{Log, Space};
use crate::storage::logs::Logs;
use std::collections::BTreeMap;

/// A run ends with the frame that makes it so many times as long as the least that goes past a block:
/// no larger than what write-back makes.
const RUN: usize = 16;
/// Pending bytes that a block brings along, in the same unit, all logs together: where a log has more,
/// that many of its oldest go, and what is new goes into the block.
const CATCH_UP: usize = 64;

/// A run that is to be made.
#[derive(Debug, Default)]
pub(super) struct PlannedRun {
    /// Pending frames of the log, behind those that others in flight cover.
    pub pending: usize,
    /// Indices of the plan's entries, whose frames follow.
    pub entries: Vec<usize>,
    /// Bytes of all its frames.
    pub bytes: usize,
    /// Where in the open segment.
    pub position: u64,
}

impl PlannedRun {
    /// Whether it holds what is new, and not only what is pending.
    pub fn is_new(&self) -> bool {
        !self.entries.is_empty()
    }
}

/// The logs whose frames go past a block.
#[derive(Debug, Default)]
pub(super) struct PlannedRuns {
    /// By log, runs in their order.
    pub runs: BTreeMap<Slot, Vec<PlannedRun>>,
    /// Logs that need a new segment first.
    pub want_segment: Vec<Slot>,
}

/// Chooses: logs that have a frame of `direct_bytes` or more in this block, and space for all that
/// they have, written before.
pub(super) fn choose(
    plan: &mut BlockPlan,
    logs: &Logs,
    direct_bytes: usize,
    now_ms: i64,
) -> PlannedRuns {
    let mut chosen = PlannedRuns::default();
    if plan.longest() < direct_bytes {
        return chosen;
    }
    let named = plan.iter().enumerate();
    let mut frames: Vec<(Slot, usize)> =
        named.filter_map(|(i, entry)| Some((entry.slot?, i))).collect();
    frames.sort_unstable();
    let (run_bytes, mut catch_up) = (RUN * direct_bytes, CATCH_UP * direct_bytes);
    for of_log in frames.chunk_by(|a, b| a.0 == b.0) {
        let slot = of_log[0].0;
        let lens = || of_log.iter().map(|(_, i)| plan.entry(*i).frame_len);
        if lens().all(|len| len < direct_bytes) {
            continue;
        }
        let bytes: usize = lens().sum();
        let Some(log) = logs.get(slot) else { continue };
        if log.busy || log.dropped || log.config.relaxed() {
            continue;
        }
        let Some(unsaid) = log.direct.unsaid() else { continue };
        let (covered, covered_bytes) = log.direct.covered();
        let pending = log.pending_bytes - covered_bytes;
        let all = pending <= catch_up;
        let mut runs = if all {
            cut(plan, log, (covered, pending), of_log, run_bytes)
        } else {
            cut(plan, log, (covered, catch_up), &[], run_bytes)
        };
        if runs.is_empty() {
            continue;
        }
        let needed: u64 = runs.iter().map(|run| padded(run.bytes) as u64).sum();
        let mut position = match log.space_for(needed, now_ms) {
            Space::There { position } => position,
            Space::Unwritten => continue,
            Space::Segment => {
                chosen.want_segment.push(slot);
                continue;
            }
        };
        for run in &mut runs {
            run.position = position;
            position += padded(run.bytes) as u64;
        }
        catch_up = catch_up.saturating_sub(pending);
        if all {
            plan.take_out(of_log.len(), bytes, unsaid.len() + runs.len());
        } else {
            plan.take_out(0, 0, unsaid.len() + runs.len());
        }
        chosen.runs.insert(slot, runs);
    }
    chosen
}

/// Cuts what is pending behind the first `covered` frames, whole frames of so many bytes at most, and
/// the plan's entries, into runs.
fn cut(
    plan: &BlockPlan,
    log: &Log,
    (covered, mut bytes): (usize, usize),
    entries: &[(Slot, usize)],
    run_bytes: usize,
) -> Vec<PlannedRun> {
    let mut runs = Vec::new();
    for pending in log.pending.iter().skip(covered) {
        let Some(left) = bytes.checked_sub(pending.frame.len()) else { break };
        bytes = left;
        let run = open(&mut runs, run_bytes);
        run.pending += 1;
        run.bytes += pending.frame.len();
    }
    for (_, index) in entries {
        let run = open(&mut runs, run_bytes);
        run.entries.push(*index);
        run.bytes += plan.entry(*index).frame_len;
    }
    runs
}

fn open(runs: &mut Vec<PlannedRun>, run_bytes: usize) -> &mut PlannedRun {
    if runs.last().is_none_or(|run| run.bytes >= run_bytes) {
        runs.push(PlannedRun::default());
    }
    runs.last_mut().expect("just pushed")
}
