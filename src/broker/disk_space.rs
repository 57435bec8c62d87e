//! The space on the disk, and what the runtime counts.

use super::figures::Readings;
use super::output::Output;
use super::state::State;
use crate::broker::api::describe_log_dirs::Volume;
use crate::storage::space::{Space, judge};

impl State {
    /// The disk's space is known: free, and in all, and what is pending in other shards, bytes.
    pub(super) fn space(&self, free: u64, total: u64, pending_elsewhere: u64) {
        self.space.set(Some((free, total)));
        let was = self.told_full.get();
        let pending = self.pending() + pending_elsewhere;
        let verdict = judge(Space { free, total, pending, journal_growth: 0 }, was);
        if self.id == 0 {
            self.outputs.push(Output::Reserve(verdict.reserve));
        }
        if verdict.full && !was {
            tracing::error!(shard = self.id, "the disk is full: produce requests are refused");
        }
        self.told_full.set(verdict.full);
        // Shards look at different times, and none knows what another has taken since.
        let share = verdict.allowance / (2 * self.shards as u64);
        self.change_logs(|logs| logs.engine.set_disk_full(verdict.full, share));
        self.kick();
    }

    /// Bytes that are to be placed on the disk yet.
    pub(super) fn pending(&self) -> u64 {
        let stats = self.logs.borrow().engine.stats();
        let growth = stats.journal_limit.saturating_sub(stats.journal_size);
        stats.pending_bytes + stats.staged_bytes + growth
    }

    /// The data directory and its volume.
    pub(super) fn volume(&self) -> Volume {
        let (usable, total) = self.space.get().unwrap_or_default();
        Volume { path: self.data.clone(), total, usable }
    }

    pub(super) fn take_readings(&self, readings: Readings) {
        self.readings.set(readings);
    }
}
