//! What a replica does that follows another one.

use super::partition::{Following, Partition, Role};
use super::producers::ProducerMemory;
use super::undo::Undo;
use crate::types::ErrorCode;
use crate::wire::records::BatchHeader;

/// What is committed would be cut: a bug here or elsewhere, or loss on another node. The process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log would be cut to offset {to}, below its high watermark {high_watermark}")]
pub struct BelowWatermark {
    /// Where it would end.
    pub to: i64,
    /// Everything below is committed.
    pub high_watermark: i64,
}

impl Partition {
    /// Names another node leader. `unclean_epoch` is the last epoch whose leader was elected without having all that
    /// was committed (`unclean.leader.election.enable`, or an operator's wish): where the log has no record of it or of
    /// a later one, what was committed may be cut. 0 is none, [`i32::MAX`] any. An older epoch changes nothing.
    ///
    /// The high watermark stays: what was committed is.
    pub fn follow(&mut self, epoch: i32, leader: i32, unclean_epoch: i32) {
        if epoch < self.leader_epoch || (epoch == self.leader_epoch && self.leads()) {
            return;
        }
        let before = match &self.role {
            Role::Follows(before) if epoch == self.leader_epoch => Some(*before),
            _ => None,
        };
        self.leader_epoch = epoch;
        self.role = Role::Follows(Following {
            leader,
            told: before.map_or(-1, |it| it.told),
            is_joined: before.is_some_and(|it| it.is_joined),
            unclean_epoch,
        });
        // One that it led without a record is none of the log's.
        self.epochs.truncate_end(self.log_end);
        self.invariants();
    }

    /// The leader that it follows.
    pub fn leader(&self) -> Option<i32> {
        match &self.role {
            Role::Follows(following) => Some(following.leader),
            _ => None,
        }
    }

    /// Epoch of the log's last record; -1 where there is none above the log start.
    pub fn last_epoch(&self) -> i32 {
        self.epochs
            .epoch_at(self.log_end - 1)
            .filter(|_| self.log_end > self.log_start)
            .unwrap_or(-1)
    }

    /// What a subscription says of this log: its end, and the epoch of its last record. `None` while not all of it is durable:
    /// a leader takes the end that it is told for durable, and counts it for the high watermark.
    pub fn subscription(&self) -> Option<(i64, i32)> {
        (self.durable_end == self.log_end).then(|| (self.log_end, self.last_epoch()))
    }

    /// The leader of that epoch has answered with [`Common::GoOn`](super::Common::GoOn): from now on its
    /// frames and its watermark are of this log.
    pub fn joins(&mut self, epoch: i32) {
        if let Role::Follows(following) = &mut self.role
            && epoch == self.leader_epoch
        {
            following.is_joined = true;
        }
    }

    /// Whether frames and watermarks of the leader of that epoch are to be taken: nothing else is, however
    /// late it comes.
    pub fn has_joined(&self, epoch: i32) -> bool {
        let is_joined = matches!(&self.role, Role::Follows(following) if following.is_joined);
        is_joined && epoch == self.leader_epoch
    }

    /// Where the log is to be cut by what the leader has said of an epoch:
    /// [`Common::TruncateTo`](super::Common::TruncateTo). Then it asks again. Where that is the log's end,
    /// the two have nothing in common, which only an unclean election brings about.
    ///
    /// # Errors
    /// [`BelowWatermark`]: nothing is to be cut, and the process must end.
    pub fn diverges(&self, epoch: i32, end: i64) -> Result<i64, BelowWatermark> {
        let (own, own_end) = self.epochs.floor(epoch, self.log_end);
        let to = if own == Some(epoch) { end.min(own_end) } else { own_end };
        let to = to.max(self.log_start).min(self.log_end);
        self.check_cut(to).map(|()| to)
    }

    fn check_cut(&self, to: i64) -> Result<(), BelowWatermark> {
        let last_epoch = self.last_epoch();
        let may_be_lost =
            matches!(&self.role, Role::Follows(following) if last_epoch < following.unclean_epoch);
        if to < self.high_watermark && !may_be_lost {
            let high_watermark = self.high_watermark;
            return Err(BelowWatermark { to, high_watermark });
        }
        Ok(())
    }

    /// The log ends at `to` now, a frame boundary: epochs and producers are what they were there. Its snapshot is the
    /// state that storage is to be given with the truncation.
    ///
    /// # Errors
    /// [`BelowWatermark`]: nothing has changed.
    ///
    /// # Panics
    /// If `to` is not within the log.
    pub fn truncate(&mut self, to: i64, memory: &mut ProducerMemory) -> Result<(), BelowWatermark> {
        assert!((self.log_start..=self.log_end).contains(&to), "{to} is not within the log");
        self.check_cut(to)?;
        let before = self.producers.charged_bytes();
        self.log_end = to;
        self.durable_end = self.durable_end.min(to);
        self.high_watermark = self.high_watermark.min(to);
        self.epochs.truncate_end(to);
        self.take_back_from(to);
        // Where it was not noted what they changed, it is forgotten.
        self.producers.truncate_end(to);
        self.producers.settle(self.high_watermark);
        memory.change(before, self.producers.charged_bytes());
        self.invariants();
        Ok(())
    }

    /// The log begins anew at `offset`: where the leader's log starts, which is committed. Its snapshot is the
    /// state that storage is to be given with that.
    ///
    /// # Errors
    /// [`BelowWatermark`]: nothing has changed.
    ///
    /// # Panics
    /// If `offset` is below the log start.
    pub fn restart_at(
        &mut self,
        offset: i64,
        memory: &mut ProducerMemory,
    ) -> Result<(), BelowWatermark> {
        assert!(offset >= self.log_start, "the log starts at {}", self.log_start);
        self.check_cut(offset)?;
        memory.give(self.producers.charged_bytes());
        self.producers.clear();
        (self.epochs, self.undo) = (super::epochs::Epochs::default(), Undo::default());
        (self.log_start, self.log_end, self.durable_end) = (offset, offset, offset);
        self.high_watermark = offset;
        self.invariants();
        Ok(())
    }

    /// The log is damaged, and begins anew at `offset`, where the leader's starts, although it was committed further: it is
    /// neither in sync nor eligible, and others have that. As [`restart_at`](Self::restart_at).
    ///
    /// # Panics
    /// If `offset` is below the log start.
    pub fn begin_anew(&mut self, offset: i64, memory: &mut ProducerMemory) {
        self.high_watermark = self.high_watermark.min(offset);
        let begun = self.restart_at(offset, memory);
        assert!(begun.is_ok(), "nothing below {offset} is cut");
    }

    /// Checks the epoch of a frame that the leader sends.
    ///
    /// # Errors
    /// `FENCED_LEADER_EPOCH` where it is older than the log's last, `UNKNOWN_LEADER_EPOCH` where it is newer than
    /// the leader's.
    pub fn check_frame_epoch(&self, epoch: i32) -> Result<(), ErrorCode> {
        if epoch > self.leader_epoch {
            Err(ErrorCode::UNKNOWN_LEADER_EPOCH)
        } else if epoch < self.last_epoch() {
            Err(ErrorCode::FENCED_LEADER_EPOCH)
        } else {
            Ok(())
        }
    }

    /// Takes in a frame of the leader's that storage has taken: its batches, and the offset after its last
    /// record. Its producers and what they abort are charged to `memory`, whatever the limit.
    pub fn take_frame(
        &mut self,
        now_ms: i64,
        batches: impl Iterator<Item = BatchHeader>,
        next_offset: i64,
        memory: &mut ProducerMemory,
    ) {
        let before = self.producers.charged_bytes();
        for batch in batches {
            self.take_in(now_ms, &batch);
        }
        self.log_end = self.log_end.max(next_offset);
        memory.change(before, self.producers.charged_bytes());
        self.invariants();
    }

    /// The leader of that epoch tells its watermark. Whether the own one moved: it is no further than the log
    /// is durable here. Before [`Partition::joins`] it says nothing of this log.
    pub fn watermark(&mut self, epoch: i32, told: i64) -> bool {
        if !self.has_joined(epoch) {
            return false;
        }
        let Role::Follows(following) = &mut self.role else { return false };
        following.told = following.told.max(told);
        let end = following.told.min(self.durable_end);
        self.raise_watermark(end)
    }

    /// Where the log's start is to move to by that of the leader's, if anywhere: only what is known to be
    /// committed is deleted.
    pub fn follows_start(&self, leaders: i64) -> Option<i64> {
        let to = leaders.min(self.high_watermark);
        (to > self.log_start).then_some(to)
    }
}
