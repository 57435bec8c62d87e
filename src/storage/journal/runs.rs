//! Which frames of a block go past it, straight into their log's open segment; see [`direct`].
//!
//! [`direct`]: crate::storage::direct

use super::plan::BlockPlan;
use crate::storage::format::frame::MAX_FRAME;
use crate::storage::format::segment::padded;
use crate::storage::interface::Slot;
use crate::storage::log::{Log, Space};
use crate::storage::logs::Logs;
use std::collections::BTreeMap;

/// A run ends with the frame that makes it this long: no larger than what write-back makes.
const RUN: usize = MAX_FRAME;
/// Pending bytes of a log that are written along, at most: more is left to write-back.
const CATCH_UP: usize = 4 << 20;

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

/// The logs whose frames go past a block.
#[derive(Debug, Default)]
pub(super) struct PlannedRuns {
    /// By log, runs in their order.
    pub runs: BTreeMap<Slot, Vec<PlannedRun>>,
    /// Logs that would have needed space first, or soon do, and bytes.
    pub want_space: Vec<(Slot, u64)>,
}

/// Chooses: logs that have a frame of `direct_bytes` or more in this block, and space for all that
/// they have.
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
    for of_log in frames.chunk_by(|a, b| a.0 == b.0) {
        let slot = of_log[0].0;
        let lens = || of_log.iter().map(|(_, i)| plan.entry(*i).frame_len);
        if lens().all(|len| len < direct_bytes) {
            continue;
        }
        let bytes: usize = lens().sum();
        let Some(log) = logs.get(slot) else { continue };
        if log.busy || log.dropped || log.config.relaxed() || now_ms < log.direct.not_before_ms {
            continue;
        }
        let Some(unsaid) = log.direct.unsaid() else { continue };
        let (covered, covered_bytes) = log.direct.covered();
        if log.pending_bytes - covered_bytes > CATCH_UP {
            continue;
        }
        let mut runs = cut(plan, log, covered, of_log);
        let needed: u64 = runs.iter().map(|run| padded(run.bytes) as u64).sum();
        let Space::There { mut position } = log.space_for(needed, now_ms) else {
            chosen.want_space.push((slot, needed));
            continue;
        };
        for run in &mut runs {
            run.position = position;
            position += padded(run.bytes) as u64;
        }
        // What is left suffices for the time that it takes to allocate more.
        let left = log.open_end().map_or(0, |(segment, _)| segment.allocated - position);
        if left < 4 * needed {
            chosen.want_space.push((slot, needed));
        }
        plan.take_out(of_log.len(), bytes, unsaid.len() + runs.len());
        chosen.runs.insert(slot, runs);
    }
    chosen
}

/// Cuts what is pending behind the first `covered` frames, and the plan's entries, into runs.
fn cut(plan: &BlockPlan, log: &Log, covered: usize, entries: &[(Slot, usize)]) -> Vec<PlannedRun> {
    let mut runs = vec![PlannedRun::default()];
    for pending in log.pending.iter().skip(covered) {
        let run = open(&mut runs);
        run.pending += 1;
        run.bytes += pending.frame.len();
    }
    for (_, index) in entries {
        let run = open(&mut runs);
        run.entries.push(*index);
        run.bytes += plan.entry(*index).frame_len;
    }
    runs
}

fn open(runs: &mut Vec<PlannedRun>) -> &mut PlannedRun {
    if runs.last().is_none_or(|run| run.bytes >= RUN) {
        runs.push(PlannedRun::default());
    }
    runs.last_mut().expect("just pushed")
}
