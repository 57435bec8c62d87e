//! What a replica does that leads.

use super::leader::{FollowerEnd, IsrChange, Leader, Leading, Patience};
use super::partition::{Partition, Role};
use crate::types::ErrorCode;

/// Where a follower is to go on: the answer to its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// Where it is: its log up to there is the leader's.
    GoOn,
    /// Its epoch ends here, or the largest below it that the leader has: it is to cut what is its own
    /// ([`Partition::diverges`]), and to ask again (KIP-101, KIP-279).
    TruncateTo {
        /// The epoch.
        epoch: i32,
        /// Offset after its last record.
        end: i64,
    },
    /// It ends below where the leader's log starts, or nothing of what it has can be compared: it is to
    /// begin anew there.
    BehindLogStart(i64),
}

impl Partition {
    /// Names this replica leader, from the log end on where the epoch is newer; takes over what changed
    /// where it leads in that epoch already. Whether the watermark moved. An older epoch changes nothing.
    pub fn lead(&mut self, to: &Leading<'_>) -> bool {
        let is_newer = self.begin_epoch(to.epoch);
        if !is_newer && (to.epoch != self.leader_epoch || !self.leads()) {
            return false;
        }
        if to.replicas.iter().all(|node| *node == to.node) {
            return self.be_alone();
        }
        match &mut self.role {
            Role::Leads(leader) if !is_newer => leader.update(to),
            role => *role = Role::Leads(Box::new(Leader::new(to))),
        }
        self.advance()
    }

    fn advance(&mut self) -> bool {
        match &self.role {
            Role::Leads(leader) => match leader.committed_end(self.durable_end) {
                Some(end) => self.raise_watermark(end),
                None => false,
            },
            _ => false,
        }
    }

    /// Where a follower is to go on whose log ends at `end`, with a record of `epoch`; -1 where it has none.
    /// The least that can be told: with each answer but [`Common::GoOn`] the follower's last epoch, or its
    /// end in that, is smaller than before, so there are no more of them than two for each epoch.
    pub fn find_common(&self, epoch: i32, end: i64) -> Common {
        if end < self.log_start {
            return Common::BehindLogStart(self.log_start);
        }
        if epoch < 0 && end <= self.log_end {
            return Common::GoOn;
        }
        match self.epochs.floor(epoch, self.log_end) {
            (Some(floor), to) if floor == epoch && end <= to => Common::GoOn,
            // All that is known is newer.
            (None, to) if end <= to => Common::GoOn,
            (None, _) => Common::BehindLogStart(self.log_start),
            (Some(epoch), end) => Common::TruncateTo { epoch, end },
        }
    }

    /// Whether this replica leads, and this node is another one of its partition, as far as the metadata have come here.
    /// What one that is not says of itself is not noted, so it must not begin to follow.
    pub fn is_followed_by(&self, node: i32) -> bool {
        matches!(&self.role, Role::Leads(leader) if leader.has_follower(node))
    }

    /// A follower goes on from `told.end`, up to which its log is this one by [`Partition::find_common`], and
    /// is durable. Whether the watermark moved. What was said in another epoch, or before the follower started anew, counts for nothing.
    pub fn subscribed(&mut self, told: &FollowerEnd, now_ms: i64) -> bool {
        let (epoch, log_end) = (self.leader_epoch, self.log_end);
        let heard = match &mut self.role {
            Role::Leads(leader) if told.leader_epoch == epoch => {
                leader.subscribed(told, log_end, now_ms)
            }
            _ => false,
        };
        heard && self.advance()
    }

    /// A follower that has subscribed says that it is durable up to `told.end`. Whether the watermark moved.
    /// As with [`Partition::subscribed`], and what comes late does no harm.
    pub fn durable_at(&mut self, told: &FollowerEnd, now_ms: i64) -> bool {
        let (epoch, log_end) = (self.leader_epoch, self.log_end);
        let heard = match &mut self.role {
            Role::Leads(leader) if told.leader_epoch == epoch => {
                leader.durable(told, log_end, now_ms)
            }
            _ => false,
        };
        heard && self.advance()
    }

    /// What is to be proposed to the controller now, if anything: without members that have not been at
    /// the log's end for longer than `patience` has it, with followers that have reached the
    /// watermark and the start of this epoch, and that the controller would have: `may_join`. One proposal is under way at a
    /// time; where nobody has answered it, another one is made. From now on it may be committed.
    ///
    /// Also whether the watermark moved: it does not wait any more for a follower that was close and has not come.
    pub fn isr_change(
        &mut self,
        now_ms: i64,
        patience: Patience<'_>,
        may_join: impl Fn(i32) -> bool,
    ) -> (Option<IsrChange>, bool) {
        let ends = (self.log_end, self.high_watermark.max(self.epoch_start));
        let Role::Leads(leader) = &mut self.role else { return (None, false) };
        let times = (now_ms, patience);
        let change = leader.isr_change(ends, self.leader_epoch, times, &may_join);
        (change, self.advance())
    }

    /// Until when the watermark waits for followers that are about to join, ms: [`Partition::isr_change`] is to be asked then.
    pub fn awaits_until_ms(&self) -> Option<i64> {
        match &self.role {
            Role::Leads(leader) => leader.awaits_until_ms(),
            _ => None,
        }
    }

    /// The controller refuses what [`Partition::isr_change`] gave. `INELIGIBLE_REPLICA` says that it was not
    /// committed; any other error may come of an attempt that was made before. Whether the watermark moved: it need not wait for
    /// who would have joined.
    pub fn isr_refused(&mut self, change: &IsrChange, error: ErrorCode, now_ms: i64) -> bool {
        if let Role::Leads(leader) = &mut self.role
            && change.leader_epoch == self.leader_epoch
        {
            leader.refused(change, error, now_ms);
        }
        self.advance()
    }

    /// When [`Partition::isr_change`] is to be asked, if nothing happens before, ms; `None`: not at all.
    pub fn isr_deadline_ms(&self, patience: Patience<'_>) -> Option<i64> {
        let Role::Leads(leader) = &self.role else { return None };
        let joins = self.high_watermark.max(self.epoch_start);
        leader.deadline_ms(self.log_end, joins, patience)
    }

    /// The committed ISR; none where it does not lead, or is the only replica.
    pub fn isr(&self) -> &[i32] {
        match &self.role {
            Role::Leads(leader) => leader.isr(),
            _ => &[],
        }
    }

    /// Of these followers the one that a consumer at `offset` is to read from: in sync, so that it does not fall behind,
    /// and furthest of those that have the offset (KIP-392).
    pub fn read_replica(&self, among: &[i32], offset: i64) -> Option<i32> {
        match &self.role {
            Role::Leads(leader) if !among.is_empty() => leader.furthest(among, offset),
            _ => None,
        }
    }

    /// Of each follower: its node, the records that it lacks, and for how long it was not at the log's end, ms. Of none
    /// where it does not lead.
    pub fn lag_of_each(&self, now_ms: i64) -> impl Iterator<Item = (i32, i64, i64)> {
        let leader = match &self.role {
            Role::Leads(leader) => Some(leader),
            _ => None,
        };
        let ends = (self.log_start, self.log_end);
        leader.into_iter().flat_map(move |it| it.lag_of_each(ends, now_ms))
    }

    /// Whether batches with `acks=all` are to be refused: the committed ISR is smaller than
    /// `min.insync.replicas`.
    pub fn not_enough_replicas(&self) -> bool {
        matches!(&self.role, Role::Leads(leader) if leader.lacks_replicas())
    }

    /// Whether it leads, and has other replicas.
    pub fn is_followed(&self) -> bool {
        matches!(self.role, Role::Leads(_))
    }

    /// Whether the high watermark has reached the start of this leader's epoch. Before that records may be
    /// committed beyond it, and "latest" is `OFFSET_NOT_AVAILABLE` (KIP-207).
    pub fn latest_is_known(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }
}
