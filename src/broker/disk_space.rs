//! The space on the disk, and what the runtime counts.

use super::calls::{Notice, ShardId};
use super::figures::Readings;
use super::output::Output;
use super::state::State;
use crate::broker::api::describe_log_dirs::Volume;
use crate::broker::logs::Outbox;
use crate::storage::space::{Shortage, Space, judge};
use std::rc::Rc;

/// While appends are refused for want of space, that is looked at so often, ms.
const LOOK_MS: i64 = 100;

impl State {
    /// Looks whether appends are refused for want of space, now that they may be.
    pub(super) fn look_at_shortage(&self) {
        if self.logs.borrow().engine.disk_is_full() {
            self.changed_space.notify();
        }
    }

    /// Tells shard 0, which tells the controller, that this shard lacks space, and that it has some again, for ever.
    pub(super) async fn run_space(self: Rc<Self>) {
        if self.node.peer.is_none() {
            return;
        }
        let mut shortage = Shortage::default();
        let refuses = || self.logs.borrow().engine.disk_is_full();
        loop {
            self.changed_space.until(refuses).await;
            loop {
                if let Some(lacks) = shortage.look(self.monotonic_ms(), refuses()) {
                    self.tell(0, Notice::LacksSpace(lacks));
                }
                if shortage.lacks() && refuses() {
                    // What was taken before may wait for space as long as it lacks.
                    let mut out = Outbox::default();
                    self.change_logs(|logs| logs.refuse_without_space(&mut out));
                    self.send_out(out);
                }
                if !shortage.goes_on() {
                    break;
                }
                self.sleep(LOOK_MS).await;
            }
        }
    }

    /// A shard lacks space, or has some again.
    pub(super) fn shard_lacks_space(&self, shard: ShardId, lacks: bool) {
        let mut without = self.standing.without_space.borrow_mut();
        let lacked = !without.is_empty();
        if lacks {
            without.insert(shard);
        } else {
            without.remove(&shard);
        }
        if without.is_empty() == lacked {
            self.changed_quorum.notify();
        }
    }

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
        self.look_at_shortage();
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
